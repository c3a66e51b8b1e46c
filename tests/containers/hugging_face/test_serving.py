"""Models of transformers behind `serve`: tiny ones, of random weights, for each task."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Every model of these tests, each in a folder of its own, as save_pretrained writes it.
MAKE = """
    import os, torch
    import transformers as t

    words = "[PAD] [UNK] [CLS] [SEP] [MASK] . a bad film good is of oslo the was where".split()
    with open("vocab.txt", "w") as file:
        file.write("\\n".join(words))
    tokenizer = t.BertTokenizerFast("vocab.txt", model_max_length=32)
    tiny = dict(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=32,
    )
    torch.manual_seed(0)

    def save(name, model, tokenizer=tokenizer):
        model.save_pretrained(f"models/{name}")
        tokenizer.save_pretrained(f"models/{name}")

    save("classify", t.BertForSequenceClassification(
        t.BertConfig(**tiny, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})))
    save("tokens", t.BertForTokenClassification(t.BertConfig(**tiny)))
    save("questions", t.BertForQuestionAnswering(t.BertConfig(**tiny)))
    save("mask", t.BertForMaskedLM(t.BertConfig(**tiny)))
    save("features", t.BertModel(t.BertConfig(**tiny)))
    names = ["input_ids", "attention_mask"]
    plain = t.BertTokenizerFast("vocab.txt", model_max_length=32, model_input_names=names)
    save("generate", t.GPT2LMHeadModel(t.GPT2Config(
        vocab_size=len(words), n_embd=8, n_layer=1, n_head=2, n_positions=32,
        bos_token_id=2, eos_token_id=3)), plain)
    save("translate", t.T5ForConditionalGeneration(t.T5Config(
        vocab_size=len(words), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2,
        decoder_start_token_id=0)), plain)
    os.makedirs("models/empty")
    os.makedirs("models/other")
    open("models/other/model.joblib", "w").close()
    os.makedirs("models/config")
    t.BertConfig(**tiny, architectures=["BertForMaskedLM"]).save_pretrained("models/config")
"""
OWN = """
    import json

    def transform_fn(model, body, content_type, accept, context):
        found = model(json.loads(body)["text"])
        return json.dumps({"label": found[0]["label"], "for": context.model_name}), accept
"""
# As in Hugging Face's own documentation of inference scripts.
ENCODED = """
    from sagemaker_huggingface_inference_toolkit import decoder_encoder

    def input_fn(body, content_type):
        return decoder_encoder.decode(body, content_type)

    def output_fn(prediction, accept):
        return decoder_encoder.encode({"found": prediction}, accept)
"""
BROKEN = "def predict_fn(data, model):\n    raise RuntimeError('out of words')\n"


@pytest.fixture(scope="module")
def server(hugging_face: Any) -> Any:
    """One server for all models of these tests."""
    hugging_face.python(MAKE)
    models = hugging_face.base / "models"
    for name, code in (("own", OWN), ("encoded", ENCODED), ("broken", BROKEN)):
        for path in (models / "classify").iterdir():
            (models / name).mkdir(exist_ok=True)
            (models / name / path.name).write_bytes(path.read_bytes())
        hugging_face.write(f"models/{name}/code/inference.py", code)
    hugging_face.variables["SAGEMAKER_MULTI_MODEL"] = "true"
    return hugging_face.serve()


@pytest.fixture
def ask(server: Any, hugging_face: Any) -> Any:
    """`ask(model, body, content type, accept)`: status, and the answer as JSON or bytes."""

    def call(
        name: str, body: Any, content_type: str = "application/json", accept: str = ""
    ) -> tuple[int, Any]:
        status, answer = server.load(hugging_face.base / "models" / name)
        assert status in (200, 409), answer
        path = f"/models/{name}/invoke"
        status, content, _ = server.invoke(body, content_type, path, Accept=accept)
        return status, content if accept else json.loads(content)

    return call


def test_a_text_is_classified_by_what_the_configuration_says(ask: Any) -> None:
    status, answer = ask("classify", {"inputs": "a good film"})

    assert status == 200
    assert [each["label"] in ("bad", "good") for each in answer] == [True]


def test_parameters_are_the_pipelines(ask: Any) -> None:
    status, answer = ask("classify", {"inputs": "a good film", "parameters": {"top_k": 2}})

    assert status == 200
    assert {each["label"] for each in answer} == {"bad", "good"}
    assert sum(each["score"] for each in answer) == pytest.approx(1.0)


def test_several_texts_have_several_answers(ask: Any) -> None:
    status, answer = ask("classify", {"inputs": ["a good film", "a bad film"]})

    assert (status, len(answer)) == (200, 2)


def test_questions_come_as_an_object_or_as_csv(ask: Any) -> None:
    question = {"question": "where was the film", "context": "the film was of oslo"}
    status, one = ask("questions", {"inputs": question})
    assert status == 200
    assert one["answer"] in question["context"]

    status, whole = ask("questions", question)  # without "inputs" all of it is the input
    assert (status, whole) == (200, one)

    rows = "question,context\nwhere was the film,the film was of oslo\n"
    status, answers = ask("questions", rows.encode(), "text/csv")
    assert status == 200
    assert (answers[0] if isinstance(answers, list) else answers)["answer"] == one["answer"]


def test_texts_come_as_csv_and_answers_go_as_csv(ask: Any) -> None:
    body = b"inputs\na good film\na bad film\n"
    status, answer = ask("classify", body, "text/csv", "text/csv")

    assert status == 200
    header, *rows = answer.decode().splitlines()
    assert header == "label,score"
    assert len(rows) == 2


def test_masks_are_filled_and_tokens_named(ask: Any) -> None:
    status, answer = ask("mask", {"inputs": "a [MASK] film", "parameters": {"top_k": 3}})
    assert (status, len(answer)) == (200, 3)
    assert {"token_str", "score", "sequence"} <= answer[0].keys()

    status, answer = ask("tokens", {"inputs": "a good film"})
    assert status == 200
    assert {each["word"] for each in answer} == {"a", "good", "film"}


def test_text_is_generated(ask: Any) -> None:
    wanted = {"inputs": "the film", "parameters": {"max_new_tokens": 3, "do_sample": False}}

    status, answer = ask("generate", wanted)

    assert status == 200
    assert answer[0]["generated_text"].startswith("the film")
    status, answer = ask("translate", {"inputs": "the film", "parameters": {"max_new_tokens": 3}})
    assert status == 200
    assert "generated_text" in answer[0]


def test_a_script_takes_the_place_of_the_pipelines_functions(ask: Any) -> None:
    status, answer = ask("own", {"text": "a good film"})

    assert status == 200
    assert answer["label"] in ("bad", "good")


def test_a_script_may_use_the_decoder_and_encoder_of_the_original(ask: Any) -> None:
    status, answer = ask("encoded", {"inputs": "a good film"})

    assert status == 200
    assert answer["found"][0]["label"] in ("bad", "good")
    assert ask("encoded", b"x", "application/xml")[0] == 415


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{", "application/json", 400, "not JSON"),
        (b"", "application/json", 400, "empty body"),
        (b'{"inputs": "a", "parameters": 3}', "application/json", 400, '"parameters" is a int'),
        (b'{"inputs": "a", "parameters": {"no": 1}}', "application/json", 400, "no"),
        (b'{"inputs": 3}', "application/json", 400, "Error"),
        (b"text\na\n", "text/csv", 400, "a column 'inputs'"),
        (b"x", "application/xml", 415, "application/xml"),
        (b"no picture", "image/png", 400, "no picture that can be read"),
    ],
)
def test_what_the_pipeline_cannot_take_is_the_callers_fault(
    ask: Any, body: bytes, kind: str, status: int, words: str
) -> None:
    found, answer = ask("classify", body, kind)

    assert found == status
    assert words in answer["message"]


def test_an_error_of_the_users_own_function_is_400_as_in_the_original(ask: Any) -> None:
    status, answer = ask("broken", {"inputs": "a"})

    assert status == 400
    assert "RuntimeError: out of words" in answer["message"]


def test_an_architecture_that_says_no_task_asks_for_one(hugging_face: Any, server: Any) -> None:
    status, answer = server.load(hugging_face.base / "models/features")

    assert status == 500
    assert "'BertModel'" in answer
    assert "set HF_TASK" in answer


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty", "The model has no config.json"),
        ("other", "its folder holds: model.joblib"),
        ("config", "There are no weights of PyTorch among: config.json"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why_and_what_to_do(
    server: Any, hugging_face: Any, name: str, words: str
) -> None:
    status, answer = server.load(hugging_face.base / "models" / name)

    assert status == 500
    assert words in answer
    assert "save_pretrained" in answer


# Of one model alone: the task and the hub's name are variables of the container.
ALONE = """
    import json, os, sys
    from sagelocal_hugging_face import bodies, pipelines

    os.environ["HF_TASK"] = "feature-extraction"
    pipeline = pipelines.load("models/features")
    found = pipelines.predict_fn({"inputs": "a good film"}, pipeline)
    array = bodies.output_fn(found, "application/x-npy")[0]
    os.environ["HF_TASK"] = "zero-shot-classification"
    pipeline = pipelines.load("models/classify")
    labels = {"candidate_labels": ["film", "oslo"]}
    ranked = pipelines.predict_fn({"inputs": "a good film", "parameters": labels}, pipeline)
    os.environ["HF_MODEL_ID"] = "nobodys/model-of-nobody"
    try:
        pipelines.load("models/classify")
    except Exception as error:
        refused = f"{type(error).__name__}: {error}"
    del os.environ["HF_MODEL_ID"]
    os.environ["HF_TASK"] = "no-such-task"
    try:
        pipelines.load("models/classify")
    except Exception as error:
        unknown = str(error)
    print(json.dumps([array.hex(), ranked["labels"], refused, unknown]))
"""


def test_the_task_and_the_model_can_be_named_by_variables(server: Any, hugging_face: Any) -> None:
    printed = hugging_face.python(ALONE).splitlines()[-1]

    array, labels, refused, unknown = json.loads(printed)
    assert np.load(io.BytesIO(bytes.fromhex(array))).shape == (1, 5, 8)
    assert set(labels) == {"film", "oslo"}
    assert refused.startswith("NotFetched: HF_MODEL_ID=nobodys/model-of-nobody cannot be fetched")
    assert "model.tar.gz" in refused
    assert "HF_HOME" in refused
    assert "no-such-task" in unknown
