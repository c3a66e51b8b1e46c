"""The routes of a server of many models, on a real server with real models."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

Wait = Callable[[Callable[[], bool]], None]
Check = Callable[[Any, int], Any]


def test_a_loaded_model_is_listed_described_and_answers(many: Any) -> None:
    folder = many.make_and_load("iris")
    assert many.answer("iris") == "iris says hello"
    listed = json.loads(many.get("/models").body)
    assert listed == {"models": [{"modelName": "iris", "modelUrl": str(folder)}]}
    described = json.loads(many.get("/models/iris").body)
    assert (described["modelName"], described["modelUrl"]) == ("iris", str(folder))
    assert described["memoryUsage"] > 0
    assert [worker["status"] for worker in described["workers"]] == ["READY"]


def test_loading_and_unloading_say_what_multi_model_server_says(many: Any) -> None:
    many.make("iris")
    assert json.loads(many.load("iris").body) == {"status": "Workers scaled"}
    assert json.loads(many.unload("iris").body) == {"status": 'Model "iris" unregistered'}


def test_ping_is_healthy_before_there_is_a_model(many: Any) -> None:
    answer = many.get("/ping")
    assert (answer.status, json.loads(answer.body)) == (200, {"status": "Healthy"})
    assert many.names() == []


def test_a_name_that_is_taken_is_409(many: Any, error: Check) -> None:
    many.make_and_load("iris")
    body = error(many.load("iris"), 409)
    assert body["type"] == "ConflictStatusException"
    assert body["message"] == "Model iris is already registered."
    assert many.answer("iris") == "iris says hello"


def test_a_folder_that_is_not_there_is_404(many: Any, error: Check) -> None:
    body = error(many.load("iris"), 404)
    assert body["type"] == "ModelNotFoundException"
    assert "there is no folder 'iris'" in body["message"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"model_name": "a"}, "Parameter url is required."),
        ({"url": "/tmp"}, "Parameter model_name is required."),
        ({"model_name": 3, "url": "/tmp"}, "Parameter model_name is required."),
        ({"model_name": "a", "url": ""}, "Parameter url is required."),
        ({"model_name": "a", "url": "s3://bucket/key"}, "is not a folder of this container"),
        (["a"], "no JSON object"),
    ],
)
def test_a_load_that_lacks_something_is_400(
    many: Any, error: Check, document: object, words: str
) -> None:
    body = error(many.post("/models", document), 400)
    assert body["type"] == "BadRequestException"
    assert words in body["message"]


def test_a_load_that_is_no_json_is_400(many: Any, error: Check) -> None:
    answer = many.server.request("POST", "/models", b"{", {"Content-Type": "application/json"})
    assert "no JSON" in error(answer, 400)["message"]


def test_a_load_may_come_as_parameters(many: Any) -> None:
    folder = many.make("iris")
    assert many.server.request("POST", f"/models?model_name=iris&url={folder}", b"").status == 200
    assert many.answer("iris") == "iris says hello"


def test_what_is_not_loaded_is_404_everywhere(many: Any, error: Check) -> None:
    for answer in (many.get("/models/nobody"), many.unload("nobody"), many.invoke("nobody")):
        body = error(answer, 404)
        assert body["type"] == "ModelNotFoundException"
        assert body["message"] == "Model not found: nobody"


def test_a_call_that_names_no_model_is_400(many: Any, error: Check) -> None:
    body = error(many.server.invoke(b"1,2"), 400)
    assert body["message"].startswith("Parameter model_name is required.")


def test_models_are_listed_in_pages_by_name(many: Any, error: Check) -> None:
    folder = many.make("shared")
    names = ["beta", "alpha", "delta", "gamma", "epsilon"]
    for name in names:
        assert many.load(name, folder).status == 200
    first = json.loads(many.get("/models?limit=2").body)
    assert [model["modelName"] for model in first["models"]] == ["alpha", "beta"]
    second = json.loads(
        many.get(f"/models?limit=100&next_page_token={first['nextPageToken']}").body
    )
    assert [model["modelName"] for model in second["models"]] == ["delta", "epsilon", "gamma"]
    assert "nextPageToken" not in second
    assert "next_page_token" in error(many.get("/models?next_page_token=nonsense"), 400)["message"]
    assert "limit" in error(many.get("/models?limit=few"), 400)["message"]


def test_names_may_hold_anything_but_a_slash(many: Any) -> None:
    folder = many.make("iris")
    for name in ("a model.tar.gz", "größe", "..", "%41", "x" * 300):
        assert many.load(name, folder).status == 200
        assert many.answer(name) == "iris says hello"
    assert many.names() == sorted(["a model.tar.gz", "größe", "..", "%41", "x" * 300])


def test_two_loads_of_one_name_are_one_200_and_one_409(many: Any, wait_until: Wait) -> None:
    folder = many.make("slow", hold="")
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(many.load, "slow") for _ in range(2)]
        wait_until(lambda: any(load.done() for load in loads))
        (folder / "go").touch()
        assert sorted(load.result().status for load in loads) == [200, 409]


def test_a_load_holds_up_nobody_else(many: Any, wait_until: Wait) -> None:
    many.make_and_load("quick")
    folder = many.make("slow", hold="")
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(many.load, "slow")
        for _ in range(20):
            assert many.answer("quick") == "quick says hello"
        many.make_and_load("other")
        assert many.names() == ["other", "quick"]
        assert not loading.done()
        (folder / "go").touch()
        assert loading.result().status == 200
    assert many.names() == ["other", "quick", "slow"]


def test_a_model_on_a_long_call_holds_up_nobody_else(many: Any, wait_until: Wait) -> None:
    folder = many.make_and_load("busy")
    many.make_and_load("quick")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(many.answer, "busy", "hold")
        wait_until((folder / "entered").exists)
        assert many.answer("quick") == "quick says hello"
        assert many.get("/ping").status == 200
        (folder / "go").touch()
        assert running.result() == "busy says hold"


def test_unloading_frees_the_memory_before_it_returns(many: Any, error: Check) -> None:
    many.make_and_load("large", mebibytes="64")
    process = int(many.answer("large", "pid"))
    assert json.loads(many.get("/models/large").body)["memoryUsage"] > 64 * 1024**2
    assert many.unload("large").status == 200
    assert not Path(f"/proc/{process}").exists()
    error(many.invoke("large"), 404)
    assert many.names() == []
    assert many.load("large").status == 200


def test_unloading_lets_running_calls_finish(many: Any, wait_until: Wait, error: Check) -> None:
    folder = many.make_and_load("busy")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(many.invoke, "busy", "hold")
        wait_until((folder / "entered").exists)
        unloading = pool.submit(many.unload, "busy")
        wait_until(lambda: bool(many.get("/models/busy").status == 404))
        assert not unloading.done()
        error(many.invoke("busy"), 404)
        error(many.unload("busy"), 404)
        error(many.load("busy"), 409)
        (folder / "go").touch()
        assert running.result().body == b"busy says hold"
        assert unloading.result().status == 200


def test_unloading_does_not_wait_for_ever(start_many: Any, wait_until: Wait, error: Check) -> None:
    many = start_many(MODEL_SERVER_GRACEFUL_TIMEOUT="1")
    folder = many.make_and_load("busy")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(many.invoke, "busy", "hold")
        wait_until((folder / "entered").exists)
        assert many.unload("busy").status == 200
        error(running.result(), 404)


def test_a_model_can_be_unloaded_while_it_loads(many: Any, wait_until: Wait, error: Check) -> None:
    many.make("slow", hold="")
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(many.load, "slow")
        wait_until(lambda: bool(many.unload("slow").status == 200))
        assert "unloaded while it was loading" in error(loading.result(), 409)["message"]
    assert many.names() == []


def test_a_model_that_cannot_be_loaded_is_500_with_the_reason(many: Any, error: Check) -> None:
    many.make_and_load("good")
    many.make("bad", broken="")
    body = error(many.load("bad"), 500)
    assert body["message"] == "The model could not be loaded. ValueError: the weights are torn"
    assert many.names() == ["good"]
    assert many.answer("good") == "good says hello"


def test_a_model_that_dies_while_it_loads_is_500(many: Any, error: Check) -> None:
    many.make("bad", dies="")
    assert "ended with status 9" in error(many.load("bad"), 500)["message"]
    assert many.names() == []


def test_a_model_without_room_while_it_loads_is_507(many: Any, error: Check) -> None:
    many.make("bad", **{"out_of_memory": ""})
    assert "no room for weights" in error(many.load("bad"), 507)["message"]
    assert many.names() == []


def test_a_call_that_fails_harms_nobody(many: Any, error: Check) -> None:
    many.make_and_load("one")
    many.make_and_load("two")
    assert "a bad request for this model" in error(many.invoke("one", "raise"), 500)["message"]
    assert "no room for this request" in error(many.invoke("one", "out of memory"), 507)["message"]
    assert many.answer("one") == "one says hello"
    assert many.answer("two") == "two says hello"


def test_a_model_whose_process_dies_answers_again_from_another(many: Any, error: Check) -> None:
    many.make_and_load("one")
    many.make_and_load("two")
    before = {name: many.answer(name, "pid") for name in ("one", "two")}
    assert error(many.invoke("one", "die"), 500)["message"] == "Worker died."
    assert many.answer("one", "pid") != before["one"]
    assert many.answer("two", "pid") == before["two"]


def test_ping_says_when_models_are_missing(many: Any, wait_until: Wait, error: Check) -> None:
    folder = many.make_and_load("one")
    (folder / "hold").touch()
    error(many.invoke("one", "die"), 500)
    wait_until(lambda: json.loads(many.get("/ping").body) == {"status": "Unhealthy"})
    many.make_and_load("two")
    assert json.loads(many.get("/ping").body) == {"status": "Partial Healthy"}
    (folder / "go").touch()
    assert many.answer("one") == "one says hello"
    assert json.loads(many.get("/ping").body) == {"status": "Healthy"}


def test_a_process_killed_on_a_call_is_507(many: Any, error: Check) -> None:
    many.make_and_load("one")
    assert error(many.invoke("one", "killed"), 507)["message"].startswith("Worker died.")
    assert many.answer("one") == "one says hello"


def test_a_model_that_cannot_come_back_is_gone(many: Any, wait_until: Wait, error: Check) -> None:
    folder = many.make_and_load("one")
    (folder / "broken").touch()
    error(many.invoke("one", "die"), 500)
    wait_until(lambda: many.names() == [])
    error(many.invoke("one"), 404)
    assert "the weights are torn" in error(many.load("one"), 500)["message"]


def test_a_call_without_end_is_given_up_and_the_model_answers_again(
    start_many: Any, wait_until: Wait, error: Check
) -> None:
    many = start_many(SAGEMAKER_MODEL_SERVER_TIMEOUT="1")
    many.make_and_load("one")
    assert error(many.invoke("one", "hold"), 500)["message"] == "Worker died."
    assert many.answer("one") == "one says hello"


def test_models_have_their_own_modules_of_the_same_name(many: Any) -> None:
    script = (
        "import utils\n\n"
        "def model_fn(model_dir):\n    return utils.NAME\n\n"
        "def transform_fn(model, body, content_type, accept):\n    return model\n"
    )
    for name in ("one", "two"):
        folder = many.make(name, script)
        (folder / "code" / "utils.py").write_text(f"NAME = 'utils of {name}'\n")
        assert many.load(name).status == 200
    assert many.answer("one") == "utils of one"
    assert many.answer("two") == "utils of two"


def test_one_script_in_the_image_serves_all_models(start_many: Any, base_dir: Path) -> None:
    many = start_many()
    (base_dir / "code").mkdir()
    (base_dir / "code" / "inference.py").write_text(
        "import pathlib\n\n"
        "def model_fn(model_dir):\n    return (pathlib.Path(model_dir) / 'word').read_text()\n\n"
        "def transform_fn(model, body, content_type, accept):\n    return model\n"
    )
    for name in ("one", "two"):
        (many.folder / name).mkdir()
        (many.folder / name / "word").write_text(f"word {name}")
        assert many.load(name).status == 200
    assert [many.answer("one"), many.answer("two")] == ["word one", "word two"]


def test_a_url_below_opt_ml_is_found_where_that_stands(many: Any) -> None:
    many.make("iris")
    assert many.load("iris", "/opt/ml/models/iris").status == 200


def test_answers_are_streamed(many: Any) -> None:
    many.make_and_load("one")
    assert many.answer("one", "stream") == "piece 0 piece 1 piece 2 "
    assert many.answer("one") == "one says hello"


def test_large_bodies_pass_untouched(start_many: Any) -> None:
    many = start_many("echo")
    (many.folder / "echo").mkdir()
    assert many.load("echo").status == 200
    body = os.urandom(1024) * 20_000
    answer = many.server.request(
        "POST", "/models/echo/invoke", body, {"Content-Type": "application/x-image; q=1"}
    )
    assert answer.status == 200
    assert answer.body == body
    assert answer.headers["Content-Type"] == "application/x-image; q=1"


def test_an_algorithm_serves_many_models(start_many: Any, error: Check) -> None:
    many = start_many("summing")
    (many.folder / "sum").mkdir()
    assert many.load("sum").status == 200
    assert many.answer("sum", "1,2,3") == "6.5"
    assert "empty body" in error(many.invoke("sum", ""), 400)["message"]


def test_an_application_of_the_users_own_is_served_as_it_is(start_server: Any) -> None:
    server = start_server("wsgi", SAGEMAKER_MULTI_MODEL="true").wait_until_ready()
    assert server.request("GET", "/models").body == b"GET /models"


def test_as_many_processes_as_set_share_a_models_calls(start_many: Any) -> None:
    many = start_many(SAGEMAKER_NUM_MODEL_WORKERS="2")
    folder = many.make_and_load("one")
    workers = json.loads(many.get("/models/one").body)["workers"]
    assert len({worker["id"] for worker in workers}) == 2
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(many.answer, "one", "hold") for _ in range(2)]
        (folder / "go").touch()
        assert [each.result() for each in held] == ["one says hold"] * 2


def _refuses(many: Any) -> bool:
    try:
        many.get("/ping")
    except (ConnectionError, http.client.HTTPException):
        return True
    return False


def test_sigterm_lets_running_calls_finish_and_leaves_nothing(
    start_many: Any, wait_until: Wait
) -> None:
    many = start_many()
    folder = many.make_and_load("one")
    process = int(many.answer("one", "pid"))
    with ThreadPoolExecutor() as pool:
        running = pool.submit(many.answer, "one", "hold")
        wait_until((folder / "entered").exists)
        many.server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refuses(many))
        (folder / "go").touch()
        assert running.result() == "one says hold"
    assert many.server.wait() == 0
    assert not Path(f"/proc/{process}").exists()


def test_the_end_of_the_keeper_is_the_end_of_all(start_many: Any, wait_until: Wait) -> None:
    many = start_many()
    many.make_and_load("one")
    process = int(many.answer("one", "pid"))
    many.server.process.kill()
    wait_until(lambda: not Path(f"/proc/{process}").exists())
    wait_until(lambda: _refuses(many))


def test_what_a_killed_server_left_goes_with_the_next(
    start_many: Any, wait_until: Wait, many: Any
) -> None:
    many.make_and_load("one")
    killed = start_many()
    (folder,) = _sockets_of(killed)
    killed.server.process.kill()
    wait_until(lambda: _refuses(killed))
    assert folder.exists()
    wait_until(lambda: _is_unused(folder))
    start_many()
    assert not folder.exists()
    assert many.answer("one") == "one says hello"


def _is_unused(folder: Path) -> bool:
    """Whether the last process of its server has ended, which may be after the port was closed."""
    with (folder / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _sockets_of(many: Any) -> set[Path]:
    """The folders that a server's keeper has open files in."""
    links = Path(f"/proc/{many.server.process.pid}/fd").iterdir()
    return {Path(os.readlink(link)).parent for link in links if os.readlink(link).endswith("/lock")}


def test_a_module_that_is_not_there_ends_the_server(start_server: Any) -> None:
    server = start_server(SAGEMAKER_MULTI_MODEL="true", SAGEMAKER_SERVING_MODULE="nowhere:app")
    assert server.wait() == 1
    assert "there is no module 'nowhere'" in server.log


def test_the_log_says_which_model_it_was(many: Any) -> None:
    many.make("iris")
    many.server.request(
        "POST",
        "/models",
        json.dumps({"model_name": "0a1b", "url": str(many.folder / "iris")}).encode(),
        {"X-Amzn-SageMaker-Target-Model": "iris.tar.gz"},
    )
    many.server.wait_for_line(r"Model 0a1b \(iris\.tar\.gz\) loaded in \d")
