"""`sagelocal push`: an image of this machine's Docker engine into a repository of ECR.

| module | job |
|---|---|
| `faults` | what stops a push, in one line with the next step |
| `login` | who the registry is asked as |
| `repository` | the repository: there or made, and what its tags are on |
| `engine` | images at the Docker engine, and sending one |
| `layers` | how far the layers are, from what the engine says |
| `manifest_list` | one tag for the images of several architectures |
| `run` | all of it: what would be done, and doing it |
"""
