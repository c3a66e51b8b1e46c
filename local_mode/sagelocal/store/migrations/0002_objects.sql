-- Buckets, objects and multipart uploads. Bytes are plain files named by a number (`file`), which
-- is given out once and never again; a file that no row names is rubbish.
CREATE TABLE file_numbers (next INTEGER NOT NULL);
INSERT INTO file_numbers VALUES (1);

-- Files whose row is gone, to be deleted once that is committed.
CREATE TABLE discarded_files (file INTEGER PRIMARY KEY);

CREATE TABLE buckets (
    name       TEXT PRIMARY KEY,
    region     TEXT NOT NULL,
    created_at REAL NOT NULL
) WITHOUT ROWID;

-- Configurations that are documents to be given back: tagging, policy, encryption, ...
CREATE TABLE bucket_documents (
    bucket   TEXT NOT NULL REFERENCES buckets (name) ON DELETE CASCADE,
    kind     TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (bucket, kind)
) WITHOUT ROWID;

-- TEXT compares as UTF-8 bytes, which is the order that S3 lists keys in.
CREATE TABLE objects (
    bucket      TEXT NOT NULL REFERENCES buckets (name),
    key         TEXT NOT NULL,
    file        INTEGER NOT NULL UNIQUE,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_at REAL NOT NULL,
    part_count  INTEGER,
    upload      TEXT, -- the multipart upload that made it: to answer a repeated completion
    description TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
);

-- The parts that a multipart upload left in its object.
CREATE TABLE object_parts (
    file      INTEGER NOT NULL REFERENCES objects (file) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    checksums TEXT NOT NULL,
    PRIMARY KEY (file, number)
) WITHOUT ROWID;

CREATE TABLE uploads (
    id                 TEXT PRIMARY KEY,
    bucket             TEXT NOT NULL REFERENCES buckets (name),
    key                TEXT NOT NULL,
    initiated_at       REAL NOT NULL,
    checksum_algorithm TEXT,
    description        TEXT NOT NULL
);
CREATE INDEX uploads_by_key ON uploads (bucket, key, initiated_at, id);

CREATE TABLE upload_parts (
    upload      TEXT NOT NULL REFERENCES uploads (id),
    number      INTEGER NOT NULL,
    file        INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_at REAL NOT NULL,
    checksums   TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
