"""A tiny BERT, made here, that learns which words are good from a CSV of texts and labels."""

import csv
import os
import tempfile
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

(data,) = Path(os.environ["SM_CHANNEL_TRAIN"]).glob("*.csv")
with data.open() as file:
    rows = list(csv.DictReader(file))
words = sorted({word for row in rows for word in row["text"].split()})
with tempfile.TemporaryDirectory() as folder:
    vocabulary = Path(folder) / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    tokenizer = BertTokenizerFast(str(vocabulary), model_max_length=16)
torch.manual_seed(0)
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        id2label={0: "NEGATIVE", 1: "POSITIVE"},
        label2id={"NEGATIVE": 0, "POSITIVE": 1},
    )
)
batch = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
labels = torch.tensor([int(row["label"]) for row in rows])
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for epoch in range(20):
    optimizer.zero_grad()
    loss = model(**batch, labels=labels).loss
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch}: loss={loss.item():.4f};")
model.save_pretrained(os.environ["SM_MODEL_DIR"])
tokenizer.save_pretrained(os.environ["SM_MODEL_DIR"])
