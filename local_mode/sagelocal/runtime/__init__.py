"""Where containers run: Docker, or plain processes, behind one narrow interface.

    interface.py      what the engine may ask; imports nothing of the rest
    images.py         which image a name means, from containers/*/image.toml
    choose.py         the runtime that the settings mean; ping.py asks whether an engine answers
    docker.py         containers at a Docker engine; docker_logs.py follows their output
    process.py        families as processes; environments.py makes their virtual environments
    supervisor/       the parent of one such process, which lives on when the plane is killed
    overlays.py       whether a container may change what it sees of a folder, and not the folder
    feeding.py        the process that fills a job's pipes and outlives the plane; feeder/ is it
    build.py          building the families' Docker images

Imports `domain` and `protocol` at most, and nothing of `store`: files are given by their paths.
"""
