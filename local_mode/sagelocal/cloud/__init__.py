"""From a file to real jobs: launched, watched, fetched and compared through the AWS API.

    spec -> plan -> checking -> sending -> following -> downloading

`spec` and `plan` are pure: a job.toml in, the API calls out. Everything that talks to AWS does so
through an `Account`: the cloud's by ordinary credentials, or this machine's plane. What is done
with it is the same.
"""
