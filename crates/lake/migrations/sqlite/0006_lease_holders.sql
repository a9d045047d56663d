-- Who has a lease, in words for people who wait for it.
ALTER TABLE leases ADD COLUMN holder TEXT NOT NULL DEFAULT '';
