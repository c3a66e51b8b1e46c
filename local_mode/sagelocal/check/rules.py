"""Every rule of a check.

Sources: SageMaker developer guide, "Use your own training algorithms" (how the training image is
run, how exit statuses and the failure file are read), "Custom inference code with hosting services"
(ping, invocations, stopping), "Multi-model endpoints" (the contract for containers) and "Inference
pipelines" (SAGEMAKER_BIND_TO_PORT).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """What a broken rule costs."""

    ERROR = "error"  # jobs or endpoints of the image fail in the cloud
    WARNING = "warning"  # some do, or they fail without a reason that can be read
    ADVICE = "advice"  # nothing fails; it costs money, time or safety


@dataclass(frozen=True)
class Rule:
    """One thing that the cloud asks of an image."""

    name: str
    severity: Severity
    asks: str
    why: str
    fix: str


_E, _W, _A = Severity.ERROR, Severity.WARNING, Severity.ADVICE

# -- the image as it lies there --------------------------------------------------------------------

ARCHITECTURE = Rule(
    "architecture",
    _E,
    "The image is for Linux on x86-64.",
    "Instances are x86-64, but for the Graviton types; else it ends with `exec format error`.",
    "Build with `docker build --platform linux/amd64`.",
)
MANIFEST = Rule(
    "manifest-type",
    _E,
    "The image is of Docker's own manifest type, and no list of images.",
    "CreateModel and CreateTrainingJob refuse OCI's types with `Unsupported manifest media type` "
    "(amazon-sagemaker-feedback, issue 180), and builds with provenance make them.",
    "Build with `docker buildx build --provenance=false --output type=docker`.",
)
SIZE = Rule(
    "size",
    _A,
    "The image is smaller than 10 GB.",
    "Every job and every new instance pulls it before it starts, and that time is billed.",
    "Use a slim base, install CPU builds, and leave compilers and caches in a build stage.",
)
LAYERS = Rule(
    "layers",
    _E,
    "The image has at most 127 layers.",
    "No engine can start an image of more layers.",
    "Join RUN and COPY lines, or copy the result of a build stage.",
)
SECRETS = Rule(
    "secrets",
    _W,
    "Neither its variables nor its history hold a key, a token or a password.",
    "Whoever may pull the image can read them, for as long as it is in the repository.",
    "Give secrets to a job by its role or by Secrets Manager; in a build, by `--secret` or a stage "
    "that is thrown away. Change what was exposed.",
)
ENTRY_POINT = Rule(
    "entry-point",
    _E,
    "An entry point is a list of words, not a line for a shell.",
    "`docker run IMAGE train` hands `train` to the shell as its name, where it is lost, and the "
    "shell keeps SIGTERM from the program.",
    'Write `ENTRYPOINT ["python3", "/opt/program.py"]`, or none, and programs `train` and `serve` '
    "on the PATH.",
)
ROOT_USER = Rule(
    "root-user",
    _W,
    "The image runs as root.",
    "SageMaker expects root of every container (developer guide, `Custom inference code with "
    "hosting services`): what it mounts below /opt/ml need not be another user's to write to.",
    "Take USER out of the Dockerfile; let a program that must not be root change its user itself.",
)
RESERVED_PATHS = Rule(
    "reserved-paths",
    _W,
    "Nothing is baked into /opt/ml/input, /opt/ml/model or /opt/ml/output.",
    "The cloud mounts its own folders there and hides what the image brings.",
    "Keep models in S3, and code in /opt/ml/code or elsewhere.",
)
GPU_LIBRARIES = Rule(
    "gpu-libraries",
    _A,
    "An image without use for a GPU brings no CUDA libraries.",
    "They are gigabytes that every job pulls; and a GPU driver inside hides that of the instance.",
    "Install CPU builds of the frameworks, or tell that it is for GPUs by the label "
    "`sagelocal.gpu=true`.",
)
LOCALE = Rule(
    "locale",
    _W,
    "Text is UTF-8 and the clock is UTC.",
    "File names, logs and CSV with letters beyond ASCII fail or come out wrong, and times in logs "
    "are not those of CloudWatch.",
    "Set `ENV LANG=C.UTF-8`, and no TZ or `TZ=UTC`.",
)

# -- train -----------------------------------------------------------------------------------------

TRAIN_ARGUMENT = Rule(
    "train-argument",
    _E,
    "`docker run IMAGE train` trains and ends with status 0.",
    "That is how a training job starts the image; any other status fails the job.",
    "Put an executable `train` on the PATH, or take the first argument in the entry point. An "
    "image that only serves is checked by `--only image --only serve`.",
)
HYPERPARAMETERS = Rule(
    "hyperparameters-are-strings",
    _E,
    "Hyperparameters are read from a JSON object whose values are all strings.",
    'CreateTrainingJob takes nothing but strings: {"epochs": "5"}.',
    "Convert each value: `int(hyperparameters.get('epochs', 5))`.",
)
TRAIN_EXIT_CODE = Rule(
    "train-exit-status",
    _E,
    "Training that fails ends with a status that is not 0.",
    "Nothing else decides between Completed and Failed; a job that seems to have worked is billed "
    "and deployed.",
    "Let exceptions end the program, or exit with 1.",
)
FAILURE_FILE = Rule(
    "failure-file",
    _W,
    "Training that fails says why in /opt/ml/output/failure.",
    "Its first 1,024 characters are the FailureReason; without it users read `exit code: 1`.",
    "Write the error there before the program ends with a status that is not 0.",
)
MODEL_SAVED = Rule(
    "model-saved",
    _E,
    "Training leaves its model in /opt/ml/model.",
    "That folder alone is uploaded as model.tar.gz; of an empty one no model can be made.",
    "Save to /opt/ml/model (SM_MODEL_DIR).",
)
MODEL_PLACE = Rule(
    "written-elsewhere",
    _W,
    "Training writes nothing outside /opt/ml/model, /opt/ml/output, /opt/ml/checkpoints and /tmp.",
    "What is written elsewhere is lost with the instance, and fills the disk of the system instead "
    "of the volume that the job asked for.",
    "Write results to /opt/ml/model and /opt/ml/output/data, and scratch files to /tmp.",
)
OPTIONAL_CHANNELS = Rule(
    "optional-channels",
    _W,
    "Training works with its first channel alone.",
    "Channels that a job does not name have no folder at all.",
    "Look whether the folder of a channel exists before it is listed.",
)
READ_ONLY_INPUT = Rule(
    "read-only-input",
    _E,
    "Training does not write below /opt/ml/input.",
    "FastFile mounts it read-only, and so do the configuration files.",
    "Copy what has to change to /tmp.",
)
ABSENT_PATHS = Rule(
    "absent-paths",
    _E,
    "Training makes the folders that it writes to, such as /opt/ml/checkpoints.",
    "That one is there only where a job asks for checkpoints; /opt/ml/model and "
    "/opt/ml/output/data always are.",
    "Make folders with `os.makedirs(path, exist_ok=True)`.",
)
TRAIN_ISOLATION = Rule(
    "train-network-isolation",
    _W,
    "Training works without a network.",
    "With EnableNetworkIsolation, which many accounts demand, a container reaches nothing, not "
    "even S3.",
    "Install packages when the image is built, and read data from the channels.",
)
TRAIN_SIGTERM = Rule(
    "train-sigterm",
    _W,
    "Training ends soon after SIGTERM.",
    "StopTrainingJob, a time limit and a spot interruption send it, and SIGKILL 120 seconds later: "
    "what is not saved by then is lost, and the seconds are billed.",
    "Start the program with `exec` or an entry point in list form, and handle SIGTERM.",
)
LOGS = Rule(
    "logs-unbuffered",
    _W,
    "Log lines appear when they are printed.",
    "CloudWatch shows nothing until a buffer is full, and what was in it when a job is killed is "
    "lost.",
    "Set `ENV PYTHONUNBUFFERED=1`, or flush after each line.",
)

# -- serve -----------------------------------------------------------------------------------------

SERVE_ARGUMENT = Rule(
    "serve-argument",
    _E,
    "`docker run IMAGE serve` answers GET /ping on port 8080 with 200.",
    "An endpoint whose containers do not is Failed after a few minutes.",
    "Put an executable `serve` on the PATH that listens on 0.0.0.0:8080. An image that only trains "
    "is checked by `--only image --only train`.",
)
PING_TIME = Rule(
    "ping-time",
    _E,
    "/ping answers within 2 seconds, also while requests are under way.",
    "That is how long the cloud waits; a container that misses it is taken out and started anew.",
    "Answer /ping without a look at the model, on a thread or worker that requests cannot hold.",
)
PING_HONEST = Rule(
    "ping-honest",
    _W,
    "Without its model /ping does not answer 200.",
    "An endpoint that cannot answer becomes InService, and an update replaces one that works.",
    "Load the model before /ping says 200, and answer 5xx where that failed.",
)
MODEL_READ_ONLY = Rule(
    "model-read-only",
    _E,
    "`serve` works with a read-only /opt/ml/model.",
    "An endpoint may mount it so; several containers of one model share it.",
    "Write caches and compiled files to /tmp.",
)
SHARED_MEMORY = Rule(
    "shared-memory",
    _E,
    "`serve` needs no more than 64 MB of /dev/shm.",
    "Endpoints give a container Docker's default, and nothing changes that.",
    "Start workers as threads, or share by files in /tmp.",
)
INVOCATION = Rule(
    "invocation",
    _E,
    "POST /invocations answers the sample request with 2xx.",
    "A client of InvokeEndpoint gets ModelError for anything else.",
    "Look at the body of the answer and at the container's log, both told here.",
)
ANSWER_TIME = Rule(
    "answer-time",
    _E,
    "The sample request is answered within 60 seconds.",
    "InvokeEndpoint waits no longer: the client gets ModelError, and the container works on for "
    "nobody.",
    "Load the model before the first request, answer smaller batches, stream the answer, or deploy "
    "an asynchronous endpoint, which waits up to an hour.",
)
CONCURRENCY = Rule(
    "concurrent-requests",
    _E,
    "Eight requests at once are all answered.",
    "An endpoint hands on requests as they come, without a queue of its own.",
    "Serve with several threads or workers, and make the prediction safe for them.",
)
KEEP_ALIVE = Rule(
    "keep-alive",
    _A,
    "A connection takes more than one request.",
    "The endpoint keeps connections open; a server that closes each of them costs a handshake for "
    "every request.",
    "Answer as HTTP/1.1 with Content-Length.",
)
UNKNOWN_TYPE = Rule(
    "unknown-content-type",
    _W,
    "A Content-Type that the image cannot read is refused with 4xx.",
    "After a 5xx clients try again and alarms go off; after a 200 they use a wrong answer.",
    "Answer 415 with the types that are read.",
)
SURVIVES = Rule(
    "survives-requests",
    _E,
    "No request ends the server.",
    "The endpoint fails every request until it has started again, and anybody who may call it can "
    "do that at any time.",
    "Catch what goes wrong with one request, and answer it with 4xx or 5xx.",
)
LARGE_BODY = Rule(
    "large-body",
    _W,
    "A body of 25 MB gets an answer.",
    "InvokeEndpoint passes on that much; a connection cut in the middle is a `server error (0)`.",
    "Raise the limit of the server (and of a proxy before it), or answer 413.",
)
WRONG_METHOD = Rule(
    "wrong-method",
    _A,
    "GET /invocations is refused with 4xx.",
    "Scanners and mistaken clients look like failures of the model after a 5xx.",
    "Route by method: 405.",
)
EXECUTION_PARAMETERS = Rule(
    "execution-parameters",
    _W,
    "GET /execution-parameters answers 404, or 200 with JSON that batch transform can read.",
    "Batch transform asks it before anything else; a 5xx or other JSON fails the job.",
    'Answer 404, or {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", '
    '"MaxPayloadInMB": 6}.',
)
BIND_TO_PORT = Rule(
    "bind-to-port",
    _E,
    "An image labelled accept-bind-to-port listens on SAGEMAKER_BIND_TO_PORT.",
    "In an inference pipeline each container is given a port of its own.",
    "Read the port from the variable, 8080 if it is not set; or take off the label.",
)
SERVE_ISOLATION = Rule(
    "serve-network-isolation",
    _W,
    "`serve` works without a way to the network.",
    "With EnableNetworkIsolation, which many accounts demand, a container reaches nothing.",
    "Install packages and fetch models when the image is built.",
)
SERVE_SIGTERM = Rule(
    "serve-sigterm",
    _W,
    "`serve` ends within 30 seconds of SIGTERM.",
    "SIGKILL follows then, and cuts off the requests that are under way.",
    "Start the server with `exec` or an entry point in list form, and let it drain on SIGTERM.",
)
REAPING = Rule(
    "zombies",
    _W,
    "The container's first process reaps children that end.",
    "Processes that have ended pile up in an endpoint that lives for months, until none can start.",
    "Let the server be process 1 (`exec gunicorn ...`), or a small init before it.",
)
NON_ROOT = Rule(
    "non-root",
    _E,
    "An image with a USER of its own, or labelled `sagelocal.non-root=true`, works as that user.",
    "Where containers are not allowed to be root, it could not start.",
    "Make what it writes to writable: /tmp, and nothing below /root.",
)
MULTI_MODEL = Rule(
    "multi-model",
    _E,
    "An image labelled multi-models answers /models as the contract says.",
    "Endpoints load and unload models by these calls; CreateEndpoint refuses an image without the "
    "label, and every InvokeEndpoint with a TargetModel fails without the calls.",
    "Serve with a multi-model server, or take off the label.",
)

RULES: tuple[Rule, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Rule)
)
