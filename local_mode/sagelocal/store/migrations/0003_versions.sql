-- Buckets that keep versions: NULL where nobody ever asked for it, else 'Enabled' or 'Suspended'.
ALTER TABLE buckets ADD COLUMN versioning TEXT;
UPDATE buckets SET versioning='Suspended'
    WHERE name IN (SELECT bucket FROM bucket_documents WHERE kind='VersioningConfiguration');
DELETE FROM bucket_documents WHERE kind='VersioningConfiguration';

ALTER TABLE objects ADD COLUMN version TEXT NOT NULL DEFAULT 'null';

-- Versions that are not the object of their key: older ones, and all delete markers, whose `file` is
-- NULL. `sequence` grows with time, and where a key has no row in `objects`, its newest version is
-- the last row here.
CREATE TABLE older_versions (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket      TEXT NOT NULL REFERENCES buckets (name),
    key         TEXT NOT NULL,
    file        INTEGER UNIQUE,
    size        INTEGER,
    etag        TEXT,
    modified_at REAL NOT NULL,
    part_count  INTEGER,
    upload      TEXT,
    description TEXT,
    version     TEXT NOT NULL
);
CREATE UNIQUE INDEX older_versions_by_id ON older_versions (bucket, key, version);
CREATE INDEX older_versions_by_age ON older_versions (bucket, key, sequence DESC);

-- Parts stay with their file when its row goes from one table to the other.
CREATE TABLE parts_of_files (
    file      INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    checksums TEXT NOT NULL,
    PRIMARY KEY (file, number)
) WITHOUT ROWID;
INSERT INTO parts_of_files SELECT file, number, size, checksums FROM object_parts;
DROP TABLE object_parts;
ALTER TABLE parts_of_files RENAME TO object_parts;
