import json


def input_handler(data, context):
    if context.request_content_type == "text/csv":
        values = data.read().decode("utf-8").split(",")
        return json.dumps({"instances": [float(value) for value in values]})
    if context.request_content_type == "application/json":
        return data.read().decode("utf-8")
    raise ValueError(f"unsupported content type {context.request_content_type}")


def output_handler(response, context):
    if response.status_code != 200:
        raise ValueError(response.content.decode("utf-8"))
    answer = response.json()
    answer["model"] = context.model_name
    return json.dumps(answer), context.accept_header
