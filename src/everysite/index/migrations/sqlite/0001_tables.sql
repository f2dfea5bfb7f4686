-- Wide rows are ordinary rowid tables (WITHOUT ROWID on them measured 2.8 x slower); narrow ones are their own index.
-- Collation is binary everywhere: text compares as its UTF-8 bytes.

-- The last number given out of each kind. Numbers are never given twice, so a feed cursor or an id stays true.
CREATE TABLE number (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE element (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    parent TEXT,            -- the body's "#parent", when it is text
    ms INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    gen INTEGER NOT NULL,
    size INTEGER,
    mtime_ns INTEGER,
    mode INTEGER,
    digest BLOB,
    origin INTEGER NOT NULL,
    change INTEGER NOT NULL,
    late TEXT,              -- {key: [ms, counter]}, NULL when empty
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX element_key ON element (key);
CREATE UNIQUE INDEX element_change ON element (change);
CREATE INDEX element_parent ON element (parent) WHERE parent IS NOT NULL;
-- Lets a tally join without reading a body.
CREATE INDEX element_gen ON element (id, gen, size);

CREATE TABLE tombstone (
    key TEXT PRIMARY KEY,
    ms INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    size INTEGER,
    mtime_ns INTEGER,
    mode INTEGER,
    digest BLOB,
    renamed_to TEXT,
    change INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tombstone_change ON tombstone (change);

-- By site first: bundles for one site append, and a tally reads one range.
CREATE TABLE replica (
    element INTEGER NOT NULL,
    site INTEGER NOT NULL,
    gen INTEGER NOT NULL,
    synced INTEGER NOT NULL,
    syncing INTEGER NOT NULL,
    error INTEGER NOT NULL,
    error_text TEXT NOT NULL,
    attempted INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    seen BLOB NOT NULL,
    "at" TEXT NOT NULL,
    change INTEGER NOT NULL,
    PRIMARY KEY (site, element)
) STRICT, WITHOUT ROWID;
CREATE INDEX replica_element ON replica (element);
CREATE UNIQUE INDEX replica_change ON replica (change);

CREATE TABLE site (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    element TEXT NOT NULL,
    paused INTEGER NOT NULL
) STRICT;

CREATE TABLE mapping (
    id INTEGER PRIMARY KEY,
    site INTEGER NOT NULL,
    url TEXT NOT NULL,
    prefix TEXT NOT NULL,
    direction TEXT NOT NULL,
    policy TEXT NOT NULL
) STRICT;

CREATE TABLE holding (
    mapping INTEGER PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE task (
    mapping INTEGER NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    element INTEGER NOT NULL,
    gen INTEGER NOT NULL,
    size INTEGER,
    mtime_ns INTEGER,
    mode INTEGER,
    digest BLOB,
    source TEXT NOT NULL,
    replaces BLOB NOT NULL,
    priority INTEGER NOT NULL,
    run_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    lease INTEGER NOT NULL DEFAULT 0,
    claimed INTEGER NOT NULL DEFAULT 0,
    error INTEGER NOT NULL DEFAULT 0,
    error_text TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX task_path ON task (mapping, path);
-- In the order of claims. run_at, size and tries ride along, so due() skips waiting rows, and status adds up, in the index alone.
CREATE INDEX task_due ON task (mapping, priority DESC, seq, run_at, size, tries) WHERE lease = 0;
CREATE INDEX task_run ON task (mapping, run_at) WHERE lease = 0;
CREATE INDEX task_lease ON task (lease, seq) WHERE lease <> 0;
CREATE INDEX task_running ON task (mapping, lease, size) WHERE lease <> 0;
CREATE INDEX task_move ON task (mapping, seq) WHERE kind = 'move';
CREATE INDEX task_element ON task (element) WHERE element <> 0;

CREATE TABLE lease (
    id INTEGER PRIMARY KEY,
    mapping INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    until INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;
CREATE INDEX lease_until ON lease (until);
CREATE INDEX lease_mapping ON lease (mapping);

CREATE TABLE held_folder (
    id INTEGER PRIMARY KEY,
    mapping INTEGER NOT NULL,
    parent INTEGER NOT NULL,    -- 0: this is the root
    name BLOB NOT NULL,
    inode INTEGER NOT NULL,
    fingerprint BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX held_folder_name ON held_folder (mapping, parent, name);

CREATE TABLE held_file (
    folder INTEGER NOT NULL,
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (folder, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_file_digest ON held_file (digest);

CREATE TABLE held_stage (
    mapping INTEGER NOT NULL,
    name BLOB NOT NULL,
    PRIMARY KEY (mapping, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    "at" INTEGER NOT NULL,
    what TEXT NOT NULL,
    site INTEGER NOT NULL,
    who TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX event_path ON event (path);

CREATE TABLE credential (
    username TEXT PRIMARY KEY,
    hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    username TEXT NOT NULL,
    kind TEXT NOT NULL,
    site TEXT NOT NULL,
    until INTEGER NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    label TEXT NOT NULL
) STRICT;
CREATE INDEX token_username ON token (username);
