// A second verifier, from docs/formats alone and Node's standard library: it shares no code with the Python one.
//
//   node verify.mjs vectors DIR             check every published vector; exit 1 on the first that disagrees
//   node verify.mjs segment DIR --trust F   verify one exported segment; exit 0 verified, 1 failed
//
// It decides whether a thing holds; it does not name what kind of damage it met.

import { createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

const KEYS_TYPE = "application/vnd.counterfoil.keys.v1+json";
const PROOF_TYPE = "application/vnd.counterfoil.proof.v1+json";
const SEGMENT_TYPE = "application/vnd.counterfoil.segment.v1+json";
const MAX_RECORD_BYTES = 65535;

const sha256 = (...parts) => parts.reduce((state, part) => state.update(part), createHash("sha256")).digest();
const leafHash = (data) => sha256(Buffer.of(0), data);
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);
const half = (...numbers) => numbers.map((number) => Math.floor(number / 2));
const hex = (text) => Buffer.from(text, "hex");

function need(condition, message) {
  if (!condition) throw new Error(message);
}

function holds(check) {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

function fromBase64(text) {
  const data = Buffer.from(text, "base64");
  need(data.toString("base64") === text, "base64 has one form");
  return data;
}

function hashOf(text) {
  const data = fromBase64(text);
  need(data.length === 32, "a hash has 32 bytes");
  return data;
}

// --- canonical JSON, docs/formats/record.md

function canonical(value) {
  if (value === null || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number") {
    need(Number.isSafeInteger(value) && !Object.is(value, -0), "a number outside the profile");
    return String(value);
  }
  if (typeof value === "string") {
    need(value.isWellFormed() && value.normalize("NFC") === value && !value.includes("\0"), "a text outside the profile");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.keys(value).sort().map((key) => {
    need(/^[a-z0-9_]{1,64}$/.test(key), "a key outside the profile");
    return `"${key}":${canonical(value[key])}`;
  });
  return `{${members.join(",")}}`;
}

function parseStrict(data) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  const value = JSON.parse(text);
  // Duplicate keys, other white space, other escapes: all of them come out differently.
  need(canonical(value) === text, "not in canonical form");
  return value;
}

// --- the tree, RFC 6962 and RFC 9162

function checkInclusion(leaf, index, size, path, root) {
  need(index < size, "the leaf is not in the tree");
  let [found, at, last] = [leaf, index, size - 1];
  for (const sibling of path) {
    need(last > 0, "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    found = isRight ? nodeHash(sibling, found) : nodeHash(found, sibling);
    while (isRight && at % 2 === 0 && at > 0) [at, last] = half(at, last);
    [at, last] = half(at, last);
  }
  need(last === 0 && found.equals(root), "the path leads to another root");
}

function checkConsistency(oldSize, oldRoot, newSize, newRoot, path) {
  need(oldSize > 0 && oldSize <= newSize, "nothing is proved from size 0, nor backwards");
  if (oldSize === newSize) return need(!path.length && oldRoot.equals(newRoot), "equal sizes, equal roots, no path");
  const nodes = [...path];
  if (Number.isInteger(Math.log2(oldSize))) nodes.unshift(oldRoot);
  need(nodes.length > 0, "the path is empty");
  let [at, last] = [oldSize - 1, newSize - 1];
  while (at % 2 === 1) [at, last] = half(at, last);
  let [oldFound, newFound] = [nodes[0], nodes[0]];
  for (const sibling of nodes.slice(1)) {
    need(last > 0, "the path is too long");
    const isRight = at % 2 === 1 || at === last;
    if (isRight) oldFound = nodeHash(sibling, oldFound);
    newFound = isRight ? nodeHash(sibling, newFound) : nodeHash(newFound, sibling);
    while (isRight && at % 2 === 0 && at > 0) [at, last] = half(at, last);
    [at, last] = half(at, last);
  }
  need(last === 0 && oldFound.equals(oldRoot) && newFound.equals(newRoot), "the path leads to other roots");
}

class Tree {
  constructor(size, peaks) {
    this.size = 0;
    this.peaks = []; // [level, hash], largest first
    for (let level = 52; level >= 0; level -= 1) {
      if (Math.floor(size / 2 ** level) % 2 === 1) this.peaks.push([level, peaks[this.peaks.length]]);
    }
    need(this.peaks.length === peaks.length, "the frontier does not fit its size");
    this.size = size;
  }

  append(leaf) {
    let [level, hash] = [0, leaf];
    while (this.peaks.length > 0 && this.peaks.at(-1)[0] === level) {
      hash = nodeHash(this.peaks.pop()[1], hash);
      level += 1;
    }
    this.peaks.push([level, hash]);
    this.size += 1;
  }

  root() {
    if (this.peaks.length === 0) return sha256(Buffer.alloc(0));
    return this.peaks.map(([, hash]) => hash).reduceRight((found, peak) => nodeHash(peak, found));
  }
}

// --- signatures: notes, envelopes, registry; docs/formats/checkpoint.md and trust.md

class Key {
  constructor(spki) {
    this.spki = spki;
    this.id = sha256(spki).toString("hex");
    this.key = createPublicKey({ key: spki, format: "der", type: "spki" });
    need(this.key.asymmetricKeyDetails.namedCurve === "prime256v1", "not a P-256 key");
  }

  signed(message, signature) {
    return verifySignature("sha256", message, { key: this.key, dsaEncoding: "der" }, signature);
  }
}

function parseNote(text) {
  const cut = text.lastIndexOf("\n\n");
  need(cut > 0 && text.endsWith("\n"), "a note is text, a blank line and signatures");
  const lines = text.slice(cut + 2, -1).split("\n");
  const signatures = lines.map((line) => {
    const match = /^— ([^ +\s]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    need(match, "not a signature line");
    const data = fromBase64(match[2]);
    return { name: match[1], keyHash: data.subarray(0, 4), signature: data.subarray(4) };
  });
  const [origin, size, root, ...rest] = text.slice(0, cut + 1).split("\n");
  need(rest.length === 1 && rest[0] === "" && /^(0|[1-9][0-9]*)$/.test(size), "not a checkpoint");
  return { text: text.slice(0, cut + 1), signatures, origin, size: Number(size), root: hashOf(root) };
}

function checkNote(note, keys) {
  const found = keys.some((key) =>
    note.signatures.some(
      ({ name, keyHash, signature }) =>
        name === note.origin && keyHash.equals(hex(key.id.slice(0, 8))) && key.signed(Buffer.from(note.text), signature),
    ),
  );
  need(found, "no key that counts signed the note");
}

function openEnvelope(envelope, type, keys, threshold = 1) {
  need(envelope.payloadType === type, `an envelope of type ${envelope.payloadType}`);
  const payload = fromBase64(envelope.payload);
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `;
  const message = Buffer.concat([Buffer.from(head), payload]);
  const signers = keys.filter((key) => envelope.signatures.some(({ sig }) => key.signed(message, fromBase64(sig))));
  need(signers.length >= threshold, "the envelope lacks a signature that counts");
  return payload;
}

function keyOf({ key_id, alg, spki }) {
  const key = new Key(fromBase64(spki));
  need(key.id === key_id && alg === "ecdsa-p256-sha256", "a key under another's name");
  return key;
}

const covers = (pattern, origin) =>
  pattern === origin || (pattern.endsWith("/*") && origin.startsWith(pattern.slice(0, -1)));

// Return the keys that count for `purpose` of `origin` at `size`, after following the registry's versions.
function keysFor(trust, envelopes, purpose, origin, size) {
  need(trust.schema === "cf-trust/1" && covers(trust.origin, origin), "nothing is pinned for this log");
  let [roots, threshold, current, digest] = [trust.roots.map(keyOf), trust.threshold, null, null];
  for (const envelope of envelopes) {
    const payload = openEnvelope(envelope, KEYS_TYPE, roots, threshold);
    const document = parseStrict(payload);
    const own = document.roots.keys.map(keyOf);
    openEnvelope(envelope, KEYS_TYPE, own, document.roots.threshold);
    need(current === null || document.version === current.version + 1, "the registry has a gap");
    need(current === null || document.prev_sha256 === digest, "the registry is not one chain");
    [current, roots, threshold] = [document, own, document.roots.threshold];
    digest = sha256(payload).toString("hex");
  }
  need(current !== null, "there is no registry");
  return current.keys.filter((item) => {
    const exact = item.valid.filter((range) => range.origin === origin);
    const ranges = exact.length > 0 ? exact : item.valid.filter((range) => covers(range.origin, origin));
    const counts = ranges.some((range) => range.from_size <= size && (range.to_size === null || size <= range.to_size));
    return counts && item.purposes.includes(purpose);
  }).map(keyOf);
}

// --- records and segments, docs/formats/record.md and segment.md

function checkRecord(line, expected) {
  need(line.length <= MAX_RECORD_BYTES, "the record is too long");
  const record = parseStrict(line);
  const members = ["body", "book", "id", "kind", "prev", "recorded_at", "schema", "seq"];
  need(Object.keys(record).join() === members.join(), "members are missing or unknown");
  need(record.schema === "cf/1" && record.seq === expected.seq, `seq ${expected.seq} is not in its place`);
  need(record.prev === expected.prev.toString("hex"), `seq ${expected.seq} names another predecessor`);
  need(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(record.recorded_at), "recorded_at is not a time");
  need(record.recorded_at > expected.after, `seq ${expected.seq} is not later than the one before`);
  return record;
}

function addEntry(body, totals) {
  const net = new Map();
  need(body.postings.length >= 2, "an entry has two postings or more");
  for (const { amount, currency, direction, account, ...rest } of body.postings) {
    need(/^[1-9][0-9]{0,18}$/.test(amount) && typeof account === "string", "a posting is malformed");
    need(["debit", "credit"].includes(direction) && Object.keys(rest).length === 0, "a posting is malformed");
    const sums = totals.get(currency) ?? { debit: 0n, credit: 0n };
    sums[direction] += BigInt(amount);
    totals.set(currency, sums);
    net.set(currency, (net.get(currency) ?? 0n) + (direction === "debit" ? BigInt(amount) : -BigInt(amount)));
  }
  need([...net.values()].every((rest) => rest === 0n), "an entry does not balance");
}

function checkSegment(files, trust) {
  const envelopes = files["keys.jsonl"].toString("utf-8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const note = parseNote(files.checkpoint.toString("utf-8"));
  checkNote(note, keysFor(trust, envelopes, "checkpoint", note.origin, note.size));
  const signers = keysFor(trust, envelopes, "dsse", note.origin, note.size);
  const manifest = parseStrict(openEnvelope(JSON.parse(files["manifest.dsse.json"]), SEGMENT_TYPE, signers));
  need(manifest.schema === "cf-segment/1" && manifest.origin === note.origin, "a manifest of another log");
  need(manifest.next_seq === note.size && manifest.tree.after.size === note.size, "manifest and checkpoint differ in size");
  need(hashOf(manifest.tree.after.root).equals(note.root), "manifest and checkpoint differ in root");
  for (const { name, bytes, sha256: digest } of manifest.objects) {
    need(files[name] && files[name].length === bytes, `${name} is not there, or of another length`);
    need(sha256(files[name]).toString("hex") === digest, `${name} is not the file that the manifest lists`);
  }
  const tree = new Tree(manifest.first_seq, manifest.tree.before.frontier.map(hashOf));
  need(tree.root().equals(hashOf(manifest.tree.before.root)), "the frontier is not that of the tree before");
  const totals = new Map();
  let [prev, after, entries] = [hex(manifest.chain.first_prev), "", 0];
  for (const line of linesOf(gunzipSync(files["records.jsonl.gz"]))) {
    const record = checkRecord(line, { seq: tree.size, prev, after });
    need((record.kind === "book") === (record.seq === 0), "seq 0, and no other, opens the book");
    if (record.kind === "journal_entry") {
      addEntry(record.body, totals);
      entries += 1;
    }
    prev = leafHash(line);
    after = record.recorded_at;
    tree.append(prev);
  }
  need(tree.size === note.size && tree.root().equals(note.root), "the records are not those that were signed");
  need(prev.toString("hex") === manifest.chain.last_leaf && entries === manifest.entries, "the manifest counts otherwise");
  const summed = [...totals].sort(([one], [two]) => (one < two ? -1 : 1));
  const stated = manifest.totals.map(({ currency, debits, credits }) => `${currency} ${debits} ${credits}`);
  need(stated.join() === summed.map(([name, sums]) => `${name} ${sums.debit} ${sums.credit}`).join(), "the totals differ");
  return { origin: note.origin, records: tree.size - manifest.first_seq, entries, size: tree.size, root: note.root };
}

function* linesOf(data) {
  let start = 0;
  for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
    yield data.subarray(start, end);
    start = end + 1;
  }
  need(start === data.length, "the last line has no end");
}

// --- proofs, docs/formats/proof.md

function checkTlogProof(text, trust, envelopes) {
  const cut = text.indexOf("\n\n");
  const [header, ...lines] = text.slice(0, cut).split("\n");
  need(header === "c2sp.org/tlog-proof@v1" && lines[0].startsWith("extra "), "not a proof that carries its record");
  const data = fromBase64(lines.shift().slice("extra ".length));
  const index = /^index (0|[1-9][0-9]*)$/.exec(lines.shift());
  const note = parseNote(text.slice(cut + 2));
  checkNote(note, keysFor(trust, envelopes, "checkpoint", note.origin, note.size));
  checkInclusion(leafHash(data), Number(index[1]), note.size, lines.map(hashOf), note.root);
  need(parseStrict(data).seq === Number(index[1]), "the record states another place");
}

function checkBundle(envelope, trust) {
  const bundle = JSON.parse(fromBase64(envelope.payload));
  const note = parseNote(bundle.checkpoint);
  checkNote(note, keysFor(trust, bundle.keys, "checkpoint", note.origin, note.size));
  openEnvelope(envelope, PROOF_TYPE, keysFor(trust, bundle.keys, "dsse", note.origin, note.size));
  for (const { seq, canonical: data, inclusion } of bundle.records) {
    checkInclusion(leafHash(fromBase64(data)), seq, note.size, inclusion.map(hashOf), note.root);
    need(parseStrict(fromBase64(data)).seq === seq, "the record states another place");
  }
  return bundle.records.length;
}

// --- the published vectors

function checkVectors(folder) {
  const load = (name) => JSON.parse(readFileSync(join(folder, name)));
  let count = 0;
  const expect = (what, found, wanted) => {
    need(found === wanted, `${what}: found ${found}, published ${wanted}`);
    count += 1;
  };

  const forms = load("canonical.json");
  for (const item of forms.valid) expect(item.canonical_hex, holds(() => parseStrict(hex(item.canonical_hex))), true);
  for (const item of forms.invalid) expect(item.why, holds(() => parseStrict(hex(item.bytes_hex))), false);

  const merkle = load("merkle.json");
  const leaves = merkle.inputs_hex.map((input) => leafHash(hex(input)));
  const roots = merkle.roots_hex.map(hex);
  const tree = new Tree(0, []);
  leaves.forEach((leaf, index) => {
    expect(`leaf ${index}`, leaf.toString("hex"), merkle.leaf_hashes_hex[index]);
    expect(`root ${index}`, tree.root().toString("hex"), merkle.roots_hex[index]);
    tree.append(leaf);
  });
  expect("last root", tree.root().toString("hex"), merkle.roots_hex.at(-1));
  for (const { index, size, path, holds: wanted } of merkle.inclusion) {
    const found = holds(() => checkInclusion(leaves[index], index, size, path.map(hex), roots[size]));
    expect(`inclusion of ${index} in ${size}`, found, wanted);
  }
  for (const { old, new: following, path, holds: wanted } of merkle.consistency) {
    const found = holds(() => checkConsistency(old, roots[old], following, roots[following], path.map(hex)));
    expect(`consistency of ${old} with ${following}`, found, wanted);
  }

  const signed = load("checkpoint.json");
  const key = new Key(fromBase64(signed.spki));
  expect("key id", key.id, signed.key_id);
  const vkey = `${signed.origin}+${key.id.slice(0, 8)}+${Buffer.concat([Buffer.of(2), key.spki]).toString("base64")}`;
  expect("vkey", vkey, signed.vkey);
  for (const { what, note, holds: wanted } of signed.notes) {
    const found = holds(() => {
      const parsed = parseNote(note);
      checkNote(parsed, [key]);
      need(parsed.size === signed.size && parsed.root.toString("hex") === signed.root_hex, "another checkpoint");
    });
    expect(what, found, wanted);
  }

  const proof = load("proof.json");
  checkTlogProof(proof.tlog_proof, proof.trust, proof.keys);
  expect("records of the bundle", checkBundle(proof.bundle, proof.trust), 3);

  const segment = load("segment.json");
  const files = decoded(segment.files);
  const found = checkSegment(files, segment.trust);
  expect("size", found.size, segment.size);
  expect("root", found.root.toString("hex"), segment.root_hex);
  for (const { verdict, files: changed } of segment.damaged) {
    expect(verdict, holds(() => checkSegment({ ...files, ...decoded(changed) }, segment.trust)), false);
  }
  return count;
}

const decoded = (files) => Object.fromEntries(Object.entries(files).map(([name, text]) => [name, fromBase64(text)]));

function main([command, folder, option, trustPath]) {
  if (command === "vectors" && folder) return { vectors: checkVectors(folder) };
  need(command === "segment" && option === "--trust" && existsSync(trustPath), "see the head of this file for its use");
  const names = ["records.jsonl.gz", "checkpoint", "keys.jsonl", "manifest.dsse.json"];
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
  const found = checkSegment(files, JSON.parse(readFileSync(trustPath)));
  return { ...found, root: found.root.toString("base64") };
}

try {
  console.log(JSON.stringify({ verdict: "verified", ...main(process.argv.slice(2)) }));
} catch (error) {
  console.log(JSON.stringify({ verdict: "failed", detail: error.message }));
  process.exitCode = 1;
}
