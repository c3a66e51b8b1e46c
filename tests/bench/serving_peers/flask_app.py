"""The sample that most containers are copied from: a Flask file under gunicorn."""

from __future__ import annotations

import booster
import flask

app = flask.Flask(__name__)
model = booster.load()


@app.get("/ping")
def ping() -> flask.Response:
    return flask.Response(status=200)


@app.post("/invocations")
def invocations() -> flask.Response:
    rows = booster.from_csv(flask.request.data)
    return flask.Response(booster.to_csv(booster.predict(model, rows)), mimetype="text/csv")
