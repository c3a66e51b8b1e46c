-- SageMaker's resources: one row each, of any kind ("training-job", "model", "endpoint", ...).
-- The columns are what lists filter and sort by; `document` is the whole resource as JSON.
CREATE TABLE resources (
    arn         TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    region      TEXT NOT NULL,
    name        TEXT NOT NULL,
    status      TEXT,
    created_at  REAL NOT NULL,
    modified_at REAL NOT NULL,
    document    TEXT NOT NULL,
    UNIQUE (kind, region, name)
);
CREATE INDEX resources_by_age ON resources (kind, region, created_at);

CREATE TABLE tags (
    arn   TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (arn, key)
);
