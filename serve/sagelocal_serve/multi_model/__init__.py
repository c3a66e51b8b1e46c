"""Many models behind one server: SAGEMAKER_MULTI_MODEL=true (developer guide: mms-container-apis).

    POST   /models                 load a model under a name
    GET    /models, /models/{n}    what is loaded
    POST   /models/{n}/invoke      its answer
    DELETE /models/{n}             its memory is free when this returns

Every model runs in processes of its own, which a keeper forks from one parent that has imported
the handler's libraries already:

    front (HTTP) ──control socket──> keeper: what is loaded, memory, LRU
       └────────── socket of the model ──────> model processes, children of the keeper

A fork costs milliseconds and shares the libraries' memory; a process takes with it, when it ends,
all that its model ever allocated, its modules and its packages, and nobody else when it dies.

    registry       names, pages and who goes first, with no process in sight
    wire           one request and its answer between front and model
    model_process  what runs in a model's process
    workers        the processes of one model, as the keeper sees them
    keeper         the one that knows and decides
    control        asking the keeper
    relay          sending requests to models
    service        the routes, as functions of request to response
"""
