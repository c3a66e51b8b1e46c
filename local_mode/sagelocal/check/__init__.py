"""`sagelocal check`: an image run against SageMaker's contracts, as the cloud would treat it.

| module | job |
|---|---|
| `rules` | every rule: what it asks, why the cloud cares, how to mend it |
| `findings` | what was seen of a rule, and all of it together |
| `subject` | the image, and what it is tried with |
| `containers` | one container at the Docker engine: its files in and out, its log, its end |
| `archives` | trees of files as tar, as the engine takes and gives them |
| `image` | what can be told without running its programs |
| `training` | `train`, in several runs |
| `hosting`, `requests`, `multi_model` | `serve`, in several runs, and what it is asked |
| `user` | as which user it runs, and what that tells |
| `tasks` | what is tried side by side |
| `run` | all of it |
| `reports` | a table, JSON, JUnit XML, a page |
"""
