// A second verifier, from docs/formats alone and Node's standard library: it shares no code with the Python one.
//
//   node verify.mjs vectors DIR             check every published vector; exit 1 on the first that disagrees
//   node verify.mjs segment DIR --trust F   verify one exported segment; exit 0 verified, 1 failed
//   node verify.mjs proof FILE --trust F    verify a proof: a bundle, bare or in its envelope, or a tlog-proof
//                                           with the keys.jsonl beside it
//   node verify.mjs report FILE --trust F   verify a report that the company signed
//   node verify.mjs report FILE --key PEM   verify one that the holder of this public key signed
//
// It decides whether a thing holds; it does not name what kind of damage it met.

import { createPublicKey } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { fromBase64, hex, holds, need, parseStrict } from "./bytes.mjs";
import {
  checkAuditorsReport,
  checkBundle,
  checkConsistency,
  checkInclusion,
  checkReport,
  checkRun,
  checkSegment,
  checkTlogProof,
  leafHash,
  Tree,
} from "./formats.mjs";
import { checkBody, checkOpening } from "./records.mjs";
import { checkNote, checkSigned, Key, newestOf, parseNote, registryOf } from "./signatures.mjs";

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
  const keys = [signed, signed.ed25519].map((published) => {
    const key = new Key(fromBase64(published.spki));
    expect("key id", key.id, published.key_id);
    const hash = key.hashFor(signed.origin).toString("hex");
    expect("vkey", `${signed.origin}+${hash}+${key.typed().toString("base64")}`, published.vkey);
    for (const { what, note, holds: wanted } of published.notes) {
      const found = holds(() => {
        const parsed = parseNote(note);
        checkNote(parsed, [key]);
        need(parsed.size === signed.size && parsed.root.toString("hex") === signed.root_hex, "another checkpoint");
      });
      expect(what, found, wanted);
    }
    return key;
  });
  const both = parseNote(signed.ed25519.notes[1].note);
  for (const key of keys) expect("either line counts", holds(() => checkNote(both, [key])), true);

  const proof = load("proof.json");
  checkTlogProof(proof.tlog_proof, proof.trust, proof.keys);
  for (const { what, tlog_proof: text } of proof.forged_tlog_proofs) {
    expect(what, holds(() => checkTlogProof(text, proof.trust, proof.keys)), false);
  }
  expect("records of the bundle", checkBundle(proof.bundle, proof.trust), 3);
  for (const { what, bundle } of proof.forged) expect(what, holds(() => checkBundle(bundle, proof.trust)), false);

  const segment = load("segment.json");
  const files = decoded(segment.files);
  const found = checkSegment(files, segment.trust, `/${segment.folder}`);
  expect("size", found.size, segment.size);
  expect("root", found.root.toString("hex"), segment.root_hex);
  for (const { verdict, files: changed } of segment.damaged) {
    expect(verdict, holds(() => checkSegment({ ...files, ...decoded(changed) }, segment.trust)), false);
  }
  for (const { what, files: changed, folder, trust } of segment.forged) {
    const check = () => checkSegment({ ...files, ...decoded(changed) }, trust ?? segment.trust, `/${folder ?? segment.folder}`);
    expect(what, holds(check), false);
  }
  checkPrivate(load("private.json"), expect);
  checkKeys(load("keys.json"), expect);
  const { trust, auditor_spki, company, auditors } = load("report.json");
  const auditor = new Key(fromBase64(auditor_spki));
  for (const { what, envelope, verdict } of company) expect(what, holds(() => checkReport(envelope, trust)), verdict === "verified");
  for (const { what, envelope, verdict } of auditors) {
    expect(what, holds(() => checkAuditorsReport(envelope, auditor)), verdict === "verified");
  }
  return count;
}

function checkPrivate({ openings, bodies }, expect) {
  for (const { salt_hex: salt, value, commitment_hex: hash, holds: wanted } of openings) {
    const open = () => checkOpening({ commitments: { name: hash } }, "name", hex(salt), value);
    expect(`an opening of ${value}`, holds(open), wanted);
  }
  for (const { what, kind, body, holds: wanted } of bodies) expect(what, holds(() => checkBody(kind, body)), wanted);
}

function checkKeys({ origin, trust, rotation, compromise }, expect) {
  const counts = (note, registry) => !checkSigned(parseNote(note), registry).doubtful;
  const rotated = registryOf(trust, rotation.keys, origin);
  for (const { what, note, holds: wanted } of rotation.notes) expect(what, holds(() => need(counts(note, rotated))), wanted);
  for (const { what, keys, verdict } of rotation.registries) {
    expect(what, holds(() => registryOf(trust, keys, origin)), verdict === "verified");
  }
  expect("the newest trust", newestOf(rotation.newest_trust, [rotation.keys], origin).version, 3);
  for (const { what, keys } of rotation.replayed) expect(what, holds(() => newestOf(rotation.newest_trust, [keys], origin)), false);

  for (const { what, trust: pinned, segments, verdict } of rotation.runs) {
    expect(what, holds(() => checkRun(placed(segments), pinned)), verdict === "verified");
  }

  const stolen = registryOf(trust, compromise.keys, origin);
  for (const { what, note, verdict } of compromise.notes) {
    expect(what, holds(() => need(counts(note, stolen))), verdict === "verified");
  }
  for (const { what, segments, verdict } of compromise.runs) {
    expect(what, holds(() => checkRun(placed(segments), trust)), verdict === "verified");
  }
  for (const { what, bundle, verdict } of compromise.proofs) {
    expect(what, holds(() => checkBundle(bundle, trust)), verdict === "verified");
  }
  for (const { what, keys } of compromise.malformed) expect(what, holds(() => registryOf(trust, keys, origin)), false);
}

const placed = (segments) => segments.map(({ folder, files }) => ({ folder: `/${folder}`, files: decoded(files) }));
const decoded = (files) => Object.fromEntries(Object.entries(files).map(([name, text]) => [name, fromBase64(text)]));

function main([command, place, option, trustPath]) {
  if (command === "vectors" && place) return { vectors: checkVectors(place) };
  if (command === "report" && option === "--key") {
    const key = new Key(createPublicKey(readFileSync(trustPath)).export({ type: "spki", format: "der" }));
    return { says: checkAuditorsReport(JSON.parse(readFileSync(place)), key).verdict };
  }
  need(option === "--trust" && existsSync(trustPath ?? ""), "see the head of this file for its use");
  const trust = JSON.parse(readFileSync(trustPath));
  if (command === "report") return { says: checkReport(JSON.parse(readFileSync(place)), trust).verdict };
  if (command === "proof") return { records: checkProof(place, trust) };
  need(command === "segment", "see the head of this file for its use");
  const names = ["records.jsonl.gz", "checkpoint", "keys.jsonl", "manifest.dsse.json"];
  // Listed and held to its hash; whose time it states is for a verifier of RFC 3161.
  if (existsSync(join(place, "checkpoint.tsr"))) names.push("checkpoint.tsr");
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(place, name))]));
  const { origin, records, entries, size, root } = checkSegment(files, trust, place);
  return { origin, records, entries, size, root: root.toString("base64") };
}

function checkProof(path, trust) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  if (!text.startsWith("c2sp.org/tlog-proof@")) return checkBundle(JSON.parse(text), trust);
  const lines = readFileSync(join(dirname(path), "keys.jsonl"), "utf-8").split("\n").filter(Boolean);
  checkTlogProof(text, trust, lines.map((line) => JSON.parse(line)));
  return 1;
}

try {
  console.log(JSON.stringify({ verdict: "verified", ...main(process.argv.slice(2)) }));
} catch (error) {
  console.log(JSON.stringify({ verdict: "failed", detail: error.message }));
  process.exitCode = 1;
}
