// Records, from docs/formats/record.md: the form of each, its body by its kind, and the accounting of an entry.

import { createHash } from "node:crypto";

import { need, parseStrict } from "./bytes.mjs";

const MAX_RECORD_BYTES = 65535;
const TIME = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;
const KEY_TEXTS = ["action", "key_id", "successor", "registry_sha256", "root", "note", "good_root", "good_note", "statement"];
const KEY_NUMBERS = ["registry_version", "size", "good_size"];

const isText = (value) => typeof value === "string";
const isSha256 = (value) => isText(value) && /^[0-9a-f]{64}$/.test(value);
const rises = (items) => items.every((item, index) => index === 0 || items[index - 1] < item);
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// By kind: the members that must be there (besides `actor`), those that may be, whether there may be others.
const SHAPES = {
  book: { must: ["legal_entity", "name", "origin"] },
  account: { must: ["account", "account_id", "action"] },
  journal_entry: {
    must: ["description", "effective_at", "external_id", "fingerprint", "metadata", "postings"],
    may: ["commitments", "reverses", "corrects", "template"],
  },
  reconciliation_run: { must: ["manifest"], open: true },
  export: { must: ["closed_on", "segment", "first_seq", "next_seq", "manifest_sha256", "uri"], open: true },
  signing_key: { must: [], may: [...KEY_TEXTS, ...KEY_NUMBERS], open: true },
  security_event: { must: [], open: true },
  erasure: { must: ["files", "fingerprint", "kept_until", "reason", "values"] },
};

function isTime(text) {
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return TIME.test(text) && text.slice(0, 4) > "0000" && day.toISOString().slice(0, 10) === text.slice(0, 10);
}

export function parseRecord(line) {
  need(line.length <= MAX_RECORD_BYTES, "the record is too long");
  const record = parseStrict(line);
  const members = ["body", "book", "id", "kind", "prev", "recorded_at", "schema", "seq"];
  need(isObject(record) && Object.keys(record).join() === members.join(), "members are missing or unknown");
  need(record.schema === "cf/1", "an unknown schema");
  need(/^[a-z0-9][a-z0-9_-]{0,62}$/.test(record.book) && /^[a-z][a-z0-9_]{0,62}$/.test(record.kind), "book or kind");
  need(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(record.id), "the id is no UUID");
  need(isText(record.prev) && /^[0-9a-f]{64}$/.test(record.prev) && isCount(record.seq), "prev or seq");
  need(isText(record.recorded_at) && isTime(record.recorded_at), "recorded_at is not a time");
  checkBody(record.kind, record.body);
  return record;
}

export function checkBody(kind, body) {
  const shape = SHAPES[kind];
  need(shape !== undefined && isObject(body), "a kind that is not known");
  const known = ["actor", ...shape.must, ...(shape.may ?? [])];
  need(["actor", ...shape.must].every((name) => name in body), "a member is missing");
  need(shape.open || Object.keys(body).every((name) => known.includes(name)), "a member that is not known");
  const texts = (value, names) => names.every((name) => !(name in value) || isText(value[name]));
  need(isObject(body.actor) && isText(body.actor.role) && isText(body.actor.subject), "an actor has role and subject");
  need(texts(body.actor, Object.keys(body.actor)), "an actor is of texts");
  if (kind === "book") need(texts(body, shape.must), "a book's members are texts");
  if (kind === "reconciliation_run") need(isObject(body.manifest), "a run's manifest is an object");
  if (kind === "export") {
    need(texts(body, ["closed_on", "manifest_sha256", "uri"]) && /^[0-9a-f]{64}$/.test(body.manifest_sha256), "an export");
    need(["segment", "first_seq", "next_seq"].every((name) => isCount(body[name])), "an export's numbers");
  }
  if (kind === "signing_key") {
    need(texts(body, KEY_TEXTS) && KEY_NUMBERS.every((name) => !(name in body) || isCount(body[name])), "a key's record");
  }
  if (kind === "erasure") checkErasure(body);
  if (kind === "journal_entry") {
    need(texts(body, ["description", "external_id", "fingerprint", "reverses", "corrects"]), "an entry's texts");
    need(isText(body.effective_at) && isTime(body.effective_at), "effective_at is not a time");
    if ("commitments" in body) checkCommitments(body.commitments);
    need(isObject(body.metadata) && texts(body.metadata, Object.keys(body.metadata)), "metadata are texts");
  }
}

function checkCommitments(given) {
  const names = isObject(given) ? Object.keys(given) : [];
  need(names.length >= 1 && names.length <= 64 && names.every((name) => isSha256(given[name])), "commitments are hashes by name");
}

function checkErasure(body) {
  need(isSha256(body.fingerprint) && isText(body.reason) && /^[a-z][a-z0-9_]{0,62}$/.test(body.reason), "an erasure's reason");
  need(isText(body.kept_until) && isTime(`${body.kept_until}T00:00:00.000000Z`), "kept_until is no day");
  need(Array.isArray(body.values) && Array.isArray(body.files) && body.values.length + body.files.length > 0, "what is gone");
  for (const item of body.values) {
    need(isObject(item) && Object.keys(item).join() === "id,names,seq" && isText(item.id) && isCount(item.seq), "an entry");
    need(Array.isArray(item.names) && item.names.length > 0 && item.names.every(isText) && rises(item.names), "names of values");
  }
  for (const item of body.files) {
    need(isObject(item) && Object.keys(item).join() === "file_id" && isText(item.file_id), "a file");
  }
  need(rises(body.values.map((item) => item.seq)) && rises(body.files.map((item) => item.file_id)), "each once, in order");
}

// Check that salt and value are what the record committed to.
export function checkOpening(body, name, salt, value) {
  const committed = createHash("sha256").update(salt).update(JSON.stringify(value)).digest("hex");
  need(salt.length === 16 && isText(value) && body.commitments?.[name] === committed, "an opening is of another value");
}

// Check a record's place in its log.
export function checkRecord(line, expected) {
  const record = parseRecord(line);
  need(record.seq === expected.seq, `seq ${expected.seq} is not in its place`);
  need(record.prev === expected.prev.toString("hex"), `seq ${expected.seq} names another predecessor`);
  need(record.recorded_at > expected.after, `seq ${expected.seq} is not later than the one before`);
  need(record.book === expected.book, `seq ${expected.seq} is of another book`);
  return record;
}

// Add an entry's postings to the totals by currency, and to what each account is posted in.
export function addEntry(body, totals, accounts = new Map()) {
  const net = new Map();
  need(Array.isArray(body.postings) && body.postings.length >= 2 && body.postings.length <= 500, "2 to 500 postings");
  for (const { amount, currency, direction, account, ...rest } of body.postings) {
    need(isText(amount) && /^[1-9][0-9]{0,18}$/.test(amount) && isText(account) && isText(currency), "a posting");
    need(Buffer.byteLength(account) <= 1024, "an account has at most 1,024 bytes");
    need(BigInt(amount) < 2n ** 63n, "an amount is more than an amount can be");
    need(["debit", "credit"].includes(direction) && Object.keys(rest).length === 0, "a posting is malformed");
    const sums = totals.get(currency) ?? { debit: 0n, credit: 0n };
    sums[direction] += BigInt(amount);
    totals.set(currency, sums);
    need((accounts.get(account) ?? currency) === currency, "an account is posted in two currencies");
    accounts.set(account, currency);
    net.set(currency, (net.get(currency) ?? 0n) + (direction === "debit" ? BigInt(amount) : -BigInt(amount)));
  }
  need([...net.values()].every((rest) => rest === 0n), "an entry does not balance");
}
