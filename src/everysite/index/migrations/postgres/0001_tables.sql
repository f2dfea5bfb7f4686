-- The tables of migrations/sqlite, for PostgreSQL. Text that is compared has the collation "C": it sorts by its bytes, as
-- SQLite's does, whatever the database was made with. No text holds a NUL: see postgres_text.

-- The last number given out of each kind. Read and written by whoever has the turn to write, so numbers grow in the order
-- of commits and a feed cursor misses nothing that commits late.
CREATE TABLE number (
    name text COLLATE "C" PRIMARY KEY,
    value bigint NOT NULL
) WITH (fillfactor = 20);   -- a dozen rows, updated by every commit: room for their next versions on the same page

-- The last group of each process that writes. Who loses the connection during a commit finds here whether it came about
-- (pg_xact_status does not tell: a crashed server gives the number of a transaction it never logged to the next one).
CREATE TABLE writer (
    name text COLLATE "C" PRIMARY KEY,
    turn bigint NOT NULL,
    seen timestamptz NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE meta (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- The ranked value of a path within a body: see postgres_paths, whose `number_text` says what becomes of a number: the
-- sixteen hexadecimal digits of the nearest float, its bits turned so that they sort, then how far a whole number of 64 bits
-- is from that float. One function, since one that an index calls finds no other one of ours: the search path is empty then.
CREATE FUNCTION everysite_ranked(body json, VARIADIC parts text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 200 AS $$
DECLARE
    here json := body -> parts[1];
    word text;
    near float8;
    bits bigint;
    rest int := 0;
BEGIN
    IF cardinality(parts) > 1 THEN
        FOR i IN 2 .. cardinality(parts) LOOP
            IF body -> array_to_string(parts[1:i], '.') IS NOT NULL THEN
                RETURN '4';
            END IF;
        END LOOP;
        FOR i IN 2 .. cardinality(parts) LOOP
            CASE json_typeof(here)
                WHEN 'object' THEN here := here -> parts[i];
                WHEN 'array' THEN RETURN '4';
                ELSE RETURN NULL;
            END CASE;
        END LOOP;
    END IF;
    CASE json_typeof(here)
        WHEN 'string' THEN
            word := here #>> '{}';
            IF octet_length(word) > 2600 OR position(U&'\+10FFFF' || '0' IN word) > 0 THEN
                RETURN '4';
            END IF;
            RETURN '2' || word;
        WHEN 'number' THEN
            word := here #>> '{}';
            IF length(word) > 300 THEN
                RETURN '4';
            END IF;
            near := word::float8 + 0.0;
            bits := ('x' || encode(float8send(near), 'hex'))::bit(64)::bigint;
            bits := CASE WHEN bits < 0 THEN ~bits ELSE bits # (-9223372036854775807 - 1) END;
            IF length(word) > 15 AND word ~ '^-?[0-9]+$' AND abs(word::numeric) < 9223372036854775808 THEN
                rest := (word::numeric - (near / 2)::bigint::numeric * 2)::int;
            END IF;
            RETURN '1' || lpad(to_hex(bits), 16, '0') || lpad(to_hex(rest + 32768), 4, '0');
        WHEN 'null' THEN RETURN '0';
        WHEN 'object' THEN RETURN '3';
        WHEN 'array' THEN RETURN '4';
        WHEN 'boolean' THEN RETURN CASE here #>> '{}' WHEN 'true' THEN '6' ELSE '5' END;
        ELSE RETURN NULL;
    END CASE;
END
$$;

CREATE TABLE element (
    id bigint PRIMARY KEY,
    key text COLLATE "C" NOT NULL,
    ms bigint NOT NULL,
    counter bigint NOT NULL,
    gen bigint NOT NULL,
    size bigint,
    mtime_ns bigint,
    mode bigint,
    digest bytea,
    origin bigint NOT NULL,
    change bigint NOT NULL,
    late text,              -- {key: [ms, counter]}, NULL when empty
    body json NOT NULL,     -- not jsonb: that forgets the order of keys, and that 1.0 is not 1
    parent text COLLATE "C",    -- ranked values of keys that are asked for most: "#parent"
    src_id text COLLATE "C",
    tgt_id text COLLATE "C",
    time text COLLATE "C",
    origin_name text COLLATE "C"    -- "origin"
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX element_key ON element (key);
CREATE UNIQUE INDEX element_change ON element (change);
CREATE INDEX element_parent ON element (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX element_src_id ON element (src_id, id) WHERE src_id IS NOT NULL;
CREATE INDEX element_tgt_id ON element (tgt_id, id) WHERE tgt_id IS NOT NULL;
CREATE INDEX element_origin_name ON element (origin_name, id) WHERE origin_name IS NOT NULL;
-- With its NULLs: the newest of everything are walked in its order.
CREATE INDEX element_time ON element (time NULLS FIRST, id);
-- Lets a tally join without reading a body.
CREATE INDEX element_gen ON element (id) INCLUDE (gen, size);

CREATE TABLE tombstone (
    key text COLLATE "C" PRIMARY KEY,
    ms bigint NOT NULL,
    counter bigint NOT NULL,
    size bigint,
    mtime_ns bigint,
    mode bigint,
    digest bytea,
    renamed_to text,
    change bigint NOT NULL
);
CREATE UNIQUE INDEX tombstone_change ON tombstone (change);

CREATE TABLE replica (
    element bigint NOT NULL,
    site bigint NOT NULL,
    gen bigint NOT NULL,
    synced bigint NOT NULL,
    syncing bigint NOT NULL,
    error bigint NOT NULL,
    error_text text COLLATE "C" NOT NULL,
    attempted bigint NOT NULL,
    tries bigint NOT NULL,
    modified bigint NOT NULL,
    deleted bigint NOT NULL,
    seen bytea NOT NULL,
    "at" text NOT NULL,
    change bigint NOT NULL,
    PRIMARY KEY (site, element)
) WITH (fillfactor = 80);
CREATE INDEX replica_element ON replica (element);
CREATE UNIQUE INDEX replica_change ON replica (change);
-- The few copies whose last try failed.
CREATE INDEX replica_error ON replica (site, element) WHERE error <> 0;

CREATE TABLE site (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    folded text COLLATE "C" NOT NULL UNIQUE,
    element text NOT NULL,
    paused bigint NOT NULL
);

CREATE TABLE mapping (
    id bigint PRIMARY KEY,
    site bigint NOT NULL,
    url text NOT NULL,
    prefix text NOT NULL,
    direction text NOT NULL,
    policy text NOT NULL
);

CREATE TABLE holding (
    mapping bigint PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    until bigint NOT NULL
);

CREATE TABLE task (
    mapping bigint NOT NULL,
    path text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    element bigint NOT NULL,
    gen bigint NOT NULL,
    size bigint,
    mtime_ns bigint,
    mode bigint,
    digest bytea,
    source text NOT NULL,
    replaces bytea NOT NULL,
    priority bigint NOT NULL,
    run_at bigint NOT NULL,
    seq bigint NOT NULL,
    tries bigint NOT NULL DEFAULT 0,
    lease bigint NOT NULL DEFAULT 0,
    claimed bigint NOT NULL DEFAULT 0,
    error bigint NOT NULL DEFAULT 0,
    error_text text NOT NULL DEFAULT ''
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
CREATE UNIQUE INDEX task_path ON task (mapping, path);
-- In the order of claims. run_at, size and tries ride along: due() skips waiting rows in the index alone.
CREATE INDEX task_due ON task (mapping, priority DESC, seq) INCLUDE (run_at, size, tries) WHERE lease = 0;
CREATE INDEX task_run ON task (mapping, run_at) WHERE lease = 0;
CREATE INDEX task_lease ON task (lease, seq) WHERE lease <> 0;
CREATE INDEX task_running ON task (mapping) INCLUDE (size) WHERE lease <> 0;
CREATE INDEX task_move ON task (mapping, seq) WHERE kind = 'move';
CREATE INDEX task_element ON task (element) WHERE element <> 0;

CREATE TABLE lease (
    id bigint PRIMARY KEY,
    mapping bigint NOT NULL,
    epoch bigint NOT NULL,
    until bigint NOT NULL,
    since bigint NOT NULL
);
CREATE INDEX lease_until ON lease (until);
CREATE INDEX lease_mapping ON lease (mapping);

CREATE TABLE held_folder (
    id bigint PRIMARY KEY,
    mapping bigint NOT NULL,
    parent bigint NOT NULL,     -- 0: this is the root
    name bytea NOT NULL,
    inode bigint NOT NULL,
    fingerprint bytea NOT NULL
);
CREATE UNIQUE INDEX held_folder_name ON held_folder (mapping, parent, name);

CREATE TABLE held_file (
    folder bigint NOT NULL,
    name bytea NOT NULL,
    size bigint NOT NULL,
    mtime_ns bigint NOT NULL,
    ctime_ns bigint NOT NULL,
    inode bigint NOT NULL,
    mode bigint NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (folder, name)
);
CREATE INDEX held_file_digest ON held_file (digest);

CREATE TABLE held_stage (
    mapping bigint NOT NULL,
    name bytea NOT NULL,
    PRIMARY KEY (mapping, name)
);

CREATE TABLE event (
    seq bigint PRIMARY KEY,
    path text COLLATE "C" NOT NULL,
    "at" bigint NOT NULL,
    what text NOT NULL,
    site bigint NOT NULL,
    who text NOT NULL,
    text text NOT NULL
);
CREATE INDEX event_path ON event (path, seq);

CREATE TABLE credential (
    username text COLLATE "C" PRIMARY KEY,
    hash text NOT NULL
);

CREATE TABLE token (
    id bigint PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    username text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    site text NOT NULL,
    until bigint NOT NULL,
    created bigint NOT NULL,
    used bigint NOT NULL,
    label text NOT NULL,
    rank text NOT NULL,
    read_only bigint NOT NULL,
    prefix text NOT NULL
);
CREATE INDEX token_username ON token (username);

-- Who may come in, so that neither a sign-in nor the question who is left as admin reads all elements.
CREATE TABLE account (
    username text COLLATE "C" PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,   -- of the user's element
    rank text NOT NULL,
    email text COLLATE "C" NOT NULL,        -- folded; '' for none
    disabled bigint NOT NULL
);
CREATE INDEX account_email ON account (email) WHERE email <> '';

-- Who changed which setting, user or token, and who signed in. Append only.
CREATE TABLE audit (
    seq bigint PRIMARY KEY,
    "at" bigint NOT NULL,
    who text NOT NULL,
    what text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    address text NOT NULL
);
