import argparse
import os

import torch
from datasets import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    Trainer,
    TrainingArguments,
)

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--train_batch_size", type=int, default=8)
parser.add_argument("--model_dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--output_data_dir", default=os.environ["SM_OUTPUT_DATA_DIR"])
parser.add_argument("--training_dir", default=os.environ["SM_CHANNEL_TRAIN"])
arguments, _ = parser.parse_known_args()

# A model that is made here, as there is no network to take a trained one from.
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
words += ["a", "bad", "fine", "film", "good", "great", "is", "poor", "story", "the", "this", "was"]
with open("/tmp/vocab.txt" if os.access("/tmp", os.W_OK) else "vocab.txt", "w") as file:
    file.write("\n".join(words))
tokenizer = BertTokenizerFast(file.name, model_max_length=16)
torch.manual_seed(0)
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        id2label={0: "NEGATIVE", 1: "POSITIVE"},
        label2id={"NEGATIVE": 0, "POSITIVE": 1},
    )
)

data = Dataset.from_csv(os.path.join(arguments.training_dir, "reviews.csv"), cache_dir="cache")
data = data.map(lambda row: tokenizer(row["text"], padding="max_length", max_length=16))
trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir="checkpoints",
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=arguments.train_batch_size,
        learning_rate=0.02,
        logging_steps=50,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    ),
    train_dataset=data,
    processing_class=tokenizer,
)
trainer.train()
predicted = trainer.predict(data)
accuracy = (predicted.predictions.argmax(1) == predicted.label_ids).mean()
print(f"accuracy={accuracy:.3f};")
trainer.save_model(arguments.model_dir)
