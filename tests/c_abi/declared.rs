// SPDX-License-Identifier: MPL-2.0
//! What the header declares, as read from its text.

use std::fs;

use crate::c_abi::build::root;

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    /// Its documentation.
    pub(crate) comment: String,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// To data, or to a function.
    pub(crate) is_pointer: bool,
}

pub(crate) fn header() -> String {
    fs::read_to_string(root().join("include/proxyprocess.h")).expect("read the header")
}

/// The functions, in the order of the header.
pub(crate) fn functions() -> Vec<Function> {
    let header = header();
    let (_, prototypes) = header.split_once("extern \"C\" {").expect("functions");
    let (prototypes, _) = prototypes.split_once("}  // extern").expect("an end of the functions");
    let prototypes = prototypes.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let declarations = prototypes.split("/**").skip(1);
    let functions: Vec<Function> = declarations.map(function).collect();
    assert!(functions.len() > 60, "{functions:?}");
    functions
}

/// "comment */ MUST_USE int32_t name(const char *id, ...);"
fn function(declaration: &str) -> Function {
    let (comment, prototype) = declaration.split_once("*/").expect("a comment");
    let (before, parameters) = prototype.split_once('(').expect("a function");
    let (parameters, _) = parameters.split_once(");").expect("parameters");
    let name = before.rsplit(|character: char| character.is_whitespace() || character == '*').next().expect("a name");
    let parameters = parameters.split(',').map(str::trim).filter(|&parameter| parameter != "void");
    Function { name: name.to_owned(), parameters: parameters.map(parameter).collect(), comment: comment.to_owned() }
}

fn parameter(text: &str) -> Parameter {
    let name = text.rsplit(|character: char| !character.is_alphanumeric() && character != '_').next().expect("a name");
    let is_pointer = text.contains('*') || text.contains("_fn ");
    Parameter { name: name.to_owned(), is_pointer }
}

/// The constants that are numbers: enumerators and macros, but for those of the version.
pub(crate) fn numbers() -> Vec<String> {
    let header = header();
    let numbers = header.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["#define", name, value] if !name.contains("_VERSION_") => value.parse::<i64>().ok().map(|_| name),
            [name, "=", value] if name.starts_with("PROXYPROCESS_") && value.ends_with(',') => Some(name),
            _ => None,
        }
    });
    let numbers: Vec<String> = numbers.map(str::to_owned).collect();
    assert!(numbers.len() > 70, "{numbers:?}");
    numbers
}

/// The fields of all structs that are no handles, each with the name of its struct.
pub(crate) fn fields() -> Vec<(String, String)> {
    let header = header();
    let mut fields = Vec::new();
    for text in header.split("typedef struct ").skip(1) {
        let Some((name, body)) = text.split_once(" {\n") else { continue };
        if name.contains(';') {
            continue; // a handle, whose fields are not public
        }
        let (body, _) = body.split_once("\n}").expect("an end of the struct");
        for declaration in body.split("*/").skip(1) {
            let declaration = declaration.split(';').next().expect("a field");
            let name_of_function = declaration.split_once("(*").and_then(|(_, rest)| rest.split_once(')'));
            let plain = || declaration.split('[').next()?.rsplit([' ', '*']).next();
            let field = name_of_function.map(|(name, _)| name).or_else(plain).expect("a name");
            fields.push((name.to_owned(), field.to_owned()));
        }
    }
    assert!(fields.len() > 70, "{fields:?}");
    fields
}
