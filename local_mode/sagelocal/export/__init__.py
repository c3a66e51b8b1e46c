"""An endpoint as files that run the same image with the same model elsewhere.

    reading -> description -> a target (compose, ecs, kubernetes, kserve, function) -> writing

| module | job |
|---|---|
| `description` | what a target needs to know of a variant, and what stops an export |
| `reading` | that, from DescribeEndpoint, DescribeEndpointConfig and DescribeModel |
| `fetching` | how the model gets from S3 to a container, in containers that run before it |
| `front`, `loader` | programs before containers: through a pipeline, and among many models |
| `gate` | what both have in common |
| `chaining` | both as texts that a target runs |
| `compose`, `ecs`, `kubernetes`, `kserve`, `function` | pure: a description in, files out |
| `targets` | the targets by name |
| `guide` | the README.md of an export |
| `writing` | a new folder with the files and the model |
"""
