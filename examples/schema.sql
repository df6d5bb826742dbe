-- What both services read and write. The version of a row is what the cache
-- calls its source version: the higher one wins, whoever stores it.
CREATE TABLE users (
  id integer PRIMARY KEY,
  name text NOT NULL,
  version bigint NOT NULL DEFAULT 1
);
INSERT INTO users (id, name) VALUES (7, 'Ada'), (8, 'Edsger'), (9, 'Barbara');
