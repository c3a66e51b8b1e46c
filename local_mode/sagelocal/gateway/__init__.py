"""HTTP in front of the services: the only place that knows a web server.

server      one process on one port: lock, socket, gunicorn, shutdown
app         WSGI <-> requests and responses as values
handlers    what a request passes, in order
dispatch    identify, parse, validate, call, serialise
body        the request's body as a stream that notices when the client goes away
"""
