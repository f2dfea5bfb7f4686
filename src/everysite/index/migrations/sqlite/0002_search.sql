-- What searches and links ask for most, beside the body: reading it out of the body costs a parse of the body a row.
-- A column holds its key's value ranked as sorting wants it (sqlite_paths): absent NULL < null x'' is read apart <
-- numbers < texts < objects x'01' < arrays x'02' < false x'03' < true x'04'.
DROP INDEX element_parent;
ALTER TABLE element DROP COLUMN parent;
ALTER TABLE element ADD COLUMN parent ANY;      -- "#parent"
ALTER TABLE element ADD COLUMN src_id ANY;
ALTER TABLE element ADD COLUMN tgt_id ANY;
ALTER TABLE element ADD COLUMN time ANY;
ALTER TABLE element ADD COLUMN origin_name ANY; -- "origin"
UPDATE element SET
    parent = CASE json_type(body, '$."#parent"') WHEN 'null' THEN x'' WHEN 'object' THEN x'01' WHEN 'array' THEN x'02'
        WHEN 'false' THEN x'03' WHEN 'true' THEN x'04' ELSE json_extract(body, '$."#parent"') END,
    src_id = CASE json_type(body, '$."src_id"') WHEN 'null' THEN x'' WHEN 'object' THEN x'01' WHEN 'array' THEN x'02'
        WHEN 'false' THEN x'03' WHEN 'true' THEN x'04' ELSE json_extract(body, '$."src_id"') END,
    tgt_id = CASE json_type(body, '$."tgt_id"') WHEN 'null' THEN x'' WHEN 'object' THEN x'01' WHEN 'array' THEN x'02'
        WHEN 'false' THEN x'03' WHEN 'true' THEN x'04' ELSE json_extract(body, '$."tgt_id"') END,
    time = CASE json_type(body, '$."time"') WHEN 'null' THEN x'' WHEN 'object' THEN x'01' WHEN 'array' THEN x'02'
        WHEN 'false' THEN x'03' WHEN 'true' THEN x'04' ELSE json_extract(body, '$."time"') END,
    origin_name = CASE json_type(body, '$."origin"') WHEN 'null' THEN x'' WHEN 'object' THEN x'01'
        WHEN 'array' THEN x'02' WHEN 'false' THEN x'03' WHEN 'true' THEN x'04'
        ELSE json_extract(body, '$."origin"') END;
CREATE INDEX element_parent ON element (parent) WHERE parent IS NOT NULL;
CREATE INDEX element_src_id ON element (src_id) WHERE src_id IS NOT NULL;
CREATE INDEX element_tgt_id ON element (tgt_id) WHERE tgt_id IS NOT NULL;
CREATE INDEX element_origin_name ON element (origin_name) WHERE origin_name IS NOT NULL;
-- With its NULLs: the newest of everything are walked in its order.
CREATE INDEX element_time ON element (time);
-- The few copies whose last try failed.
CREATE INDEX replica_error ON replica (site, element) WHERE error <> 0;
