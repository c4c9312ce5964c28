// SPDX-License-Identifier: MPL-2.0
//! The JSON schema of the example agent's configuration has the fields that the library reads, and no others, and accepts what
//! the pages show.

use std::collections::BTreeSet;

use proxyprocess::ProxyConfig;
use serde_json::{Value, json};

use crate::documentation::read;

/// A schema, and what its references are to.
struct Schema {
    root: Value,
}

impl Schema {
    fn read() -> Schema {
        let text = read("examples/agent/src/config/schema.json");
        Schema { root: serde_json::from_str(&text).expect("the schema is JSON") }
    }

    /// What a value breaks of a part of the schema. Only what the schema uses is known here.
    fn breaks(&self, schema: &Value, value: &Value) -> Option<String> {
        let rules = schema.as_object().expect("a schema is an object");
        rules.iter().find_map(|(rule, wanted)| {
            let holds = match rule.as_str() {
                "$ref" => return self.breaks(self.referenced(wanted), value),
                "allOf" => return list(wanted).iter().find_map(|part| self.breaks(part, value)),
                "anyOf" => list(wanted).iter().any(|part| self.breaks(part, value).is_none()),
                "enum" => list(wanted).contains(value),
                "type" => is_of_type(value, wanted.as_str().expect("a type")),
                "minimum" => value.as_f64().is_none_or(|number| Some(number) >= wanted.as_f64()),
                "maximum" => value.as_f64().is_none_or(|number| Some(number) <= wanted.as_f64()),
                "minLength" => value.as_str().is_none_or(|text| Some(text.chars().count() as u64) >= wanted.as_u64()),
                "maxLength" => value.as_str().is_none_or(|text| Some(text.chars().count() as u64) <= wanted.as_u64()),
                "minItems" => value.as_array().is_none_or(|items| Some(items.len() as u64) >= wanted.as_u64()),
                "maxItems" => value.as_array().is_none_or(|items| Some(items.len() as u64) <= wanted.as_u64()),
                "maxProperties" => value.as_object().is_none_or(|object| Some(object.len() as u64) <= wanted.as_u64()),
                "pattern" => value.as_str().is_none_or(|text| matches(text, wanted.as_str().expect("a pattern"))),
                "items" => return value.as_array()?.iter().find_map(|item| self.breaks(wanted, item)),
                "required" => list(wanted).iter().all(|field| value.get(field.as_str().expect("a name")).is_some()),
                "properties" => {
                    let mut members = value.as_object()?.iter();
                    return members.find_map(|(name, inner)| self.breaks(wanted.get(name)?, inner));
                }
                "propertyNames" => {
                    return value.as_object()?.keys().find_map(|name| self.breaks(wanted, &name.as_str().into()));
                }
                "additionalProperties" => {
                    let others = value.as_object()?.iter().filter(|(name, _)| schema["properties"].get(name).is_none());
                    let mut others = others.peekable();
                    if *wanted != false {
                        return others.find_map(|(_, inner)| self.breaks(wanted, inner));
                    }
                    others.peek().is_none()
                }
                "$schema" | "title" | "description" | "default" | "definitions" => true,
                other => panic!("unknown rule {other}"),
            };
            (!holds).then(|| format!("{rule} {wanted}, got {value}"))
        })
    }

    fn referenced(&self, reference: &Value) -> &Value {
        let path = reference.as_str().and_then(|path| path.strip_prefix('#')).expect("a reference within the schema");
        self.root.pointer(path).expect("what is referred to")
    }

    /// The names of the fields of an object, in any of its forms.
    fn fields(&self, schema: &Value) -> BTreeSet<String> {
        let own = schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
        let forms = ["allOf", "anyOf"].into_iter().filter_map(|rule| schema[rule].as_array()).flatten();
        let referenced = schema.get("$ref").map(|reference| self.referenced(reference));
        own.chain(forms.chain(referenced).flat_map(|form| self.fields(form))).collect()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn is_of_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("unknown type {other}"),
    }
}

/// The patterns of the schema, each written out.
fn matches(text: &str, pattern: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match pattern {
        "^/" => text.starts_with('/'),
        "^[^=]+=" => text.find('=').is_some_and(|at| at > 0),
        "^(tcp|udp|unix):" => ["tcp:", "udp:", "unix:"].iter().any(|scheme| text.starts_with(scheme)),
        "^[0-7]{1,4}$" => (1..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)),
        "^[0-9]+-[0-9]+$" => text.split_once('-').is_some_and(|(first, last)| digits(first) && digits(last)),
        other => panic!("unknown pattern {other}"),
    }
}

/// The fields that the library says there may be at a place, which is where a declaration has an unknown one.
fn known(declaration: &Value) -> BTreeSet<String> {
    let said = ProxyConfig::from_json(&declaration.to_string()).unwrap_err().to_string();
    let (_, names) = said.split_once("unknown field, expected one of ").unwrap_or_else(|| panic!("{said}"));
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn fields_of_the_schema_are_those_that_the_library_reads() {
    let schema = Schema::read();
    let proxy = &schema.root["definitions"]["proxy"];
    let wrong = || json!({ "nosuch": 1 });
    assert_eq!(schema.fields(proxy), known(&wrong()), "a declaration");
    for (path, declaration) in [
        ("credentials", json!({"credentials": wrong()})),
        ("rlimits", json!({"rlimits": wrong()})),
        ("rlimits/properties/core", json!({"rlimits": {"core": wrong()}})),
        ("output", json!({"output": wrong()})),
        ("output/properties/stdout", json!({"output": {"stdout": wrong()}})),
        ("stop/items", json!({"stop": [wrong()]})),
        ("ready", json!({"ready": wrong()})),
        ("listen/items", json!({"listen": [wrong()]})),
        ("reload", json!({"reload": wrong()})),
        ("restart", json!({"restart": wrong()})),
        ("restart/properties/give_up_after", json!({"restart": {"give_up_after": wrong()}})),
    ] {
        let inner = proxy.pointer(&format!("/properties/{path}")).unwrap_or_else(|| panic!("no {path} in the schema"));
        assert_eq!(schema.fields(inner), known(&declaration), "{path}");
    }
}

#[test]
fn configurations_of_the_pages_and_the_examples_are_valid_by_the_schema() {
    let schema = Schema::read();
    let page = read("docs/configuration.md");
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().expect("a block"));
    let declared = blocks.map(|block| serde_json::from_str::<Value>(block).expect("JSON"));
    let mut documents: Vec<Value> = declared.map(|proxies| json!({ "proxies": proxies })).collect();
    assert!(documents.len() >= 3, "{documents:?}");
    documents.push(serde_json::from_str(&read("examples/proxies.json")).expect("JSON"));
    for document in documents {
        assert_eq!(schema.breaks(&schema.root, &document), None, "{document}");
    }
}

#[test]
fn what_the_library_refuses_in_form_the_schema_refuses_as_well() {
    let schema = Schema::read();
    let proxy = &schema.root["definitions"]["proxy"];
    for (field, good, bad) in [
        ("command", json!(["a", [97, 255]]), json!("a")),
        ("env", json!(["A=b"]), json!(["A"])),
        ("user", json!("a"), json!("")),
        ("credentials", json!({"uid": 1, "gid": 2}), json!({"uid": 1})),
        ("oom_score_adj", json!(-1000), json!(-1001)),
        ("rlimits", json!({"core": "unlimited", "nofile": {"soft": 1}}), json!({"core": {"hard": 1}})),
        ("cpu_affinity", json!([0, "4-7"]), json!(["4"])),
        ("umask", json!("0027"), json!("9")),
        ("output", json!({"stdout": "/a", "owner": "agent"}), json!({"stdout": "a"})),
        ("stop_signal", json!(15), json!(["SIGTERM"])),
        ("stop", json!([{"signal": "SIGTERM", "for_ms": 1}]), json!([{"signal": "SIGTERM"}])),
        ("grace_period_ms", json!(0), json!(-1)),
        ("ready", json!({"tcp": "127.0.0.1:80"}), json!({})),
        ("listen", json!(["tcp:127.0.0.1:80", {"address": "unix:/run/a", "mode": "0660"}]), json!(["127.0.0.1:80"])),
        ("reload", json!({"command": ["a"], "timeout_ms": 1}), json!({"timeout_ms": 1})),
        ("replace", json!("overlap"), json!("later")),
        ("restart", json!({"jitter": 0.5, "policy": "never"}), json!({"jitter": 2})),
        ("expected_exit", json!([64, "SIGTERM"]), json!([256])),
        ("enabled", json!(false), json!("no")),
        ("fd_store_max", json!(512), json!(513)),
        ("limits", json!({"memory_max": 1_048_576, "cpu_max": 100_000}), json!({"cpu_max": 100_001})),
    ] {
        let with = |value: &Value| {
            let mut declaration = json!({ "command": ["a"] });
            declaration[field] = value.clone();
            (ProxyConfig::from_json(&declaration.to_string()).is_ok(), schema.breaks(proxy, &declaration).is_none())
        };
        assert_eq!((with(&good), with(&bad)), ((true, true), (false, false)), "{field}");
    }
}
