-- What a token may not do that its user may.
ALTER TABLE token ADD COLUMN rank TEXT NOT NULL DEFAULT '';
ALTER TABLE token ADD COLUMN read_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN prefix TEXT NOT NULL DEFAULT '';

-- Who may come in, so that neither a sign-in nor the question who is left as admin reads all elements.
CREATE TABLE account (
    username TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,   -- of the user's element
    rank TEXT NOT NULL,
    email TEXT NOT NULL,        -- folded; '' for none
    disabled INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX account_email ON account (email) WHERE email <> '';

INSERT OR IGNORE INTO account
SELECT body ->> '$.username', key, coalesce(body ->> '$.class', 'guest'), lower(coalesce(body ->> '$.email', '')),
    coalesce(json_type(body, '$.disable') NOT IN ('false', 'null'), 0)
FROM element
WHERE key >= '@' AND key < 'A' AND json_type(body, '$.username') = 'text'
ORDER BY id;

-- Who changed which setting, user or token, and who signed in. Append only.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    "at" INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    address TEXT NOT NULL
) STRICT;
