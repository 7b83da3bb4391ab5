-- Failed jobs say by which error. Repeatable, because what follows is no part of this transaction.
alter table jobs add column if not exists error_fingerprint text;
