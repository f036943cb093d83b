// Bytes, base64, hashes and canonical JSON, from docs/formats alone; every check throws with a reason.

import { createHash } from "node:crypto";

export const sha256 = (...parts) => parts.reduce((state, part) => state.update(part), createHash("sha256")).digest();
export const hex = (text) => Buffer.from(text, "hex");

export function need(condition, message) {
  if (!condition) throw new Error(message);
}

export function holds(check) {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

export function fromBase64(text) {
  const data = Buffer.from(text, "base64");
  need(data.toString("base64") === text, "base64 has one form");
  return data;
}

export function hashOf(text) {
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

export function parseStrict(data) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  const value = JSON.parse(text);
  // Duplicate keys, other white space, other escapes: all of them come out differently.
  need(canonical(value) === text, "not in canonical form");
  return value;
}
