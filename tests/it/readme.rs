//! What the documents say, held to what the code does.

use std::collections::BTreeMap;

use contract::setting::Variable;
use darkroom_tests::root;

#[test]
fn the_readmes_table_names_every_variable_with_its_default_and_meaning() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let is_name =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'0'..=b'9' | b'_'));
    let is_row =
        |line: &&str| line.strip_prefix("| `").and_then(|row| row.split('`').next()).is_some_and(is_name);
    let rows: Vec<&str> = readme.lines().filter(is_row).collect();
    assert_eq!(rows, table(), "paste these rows into README.md:\n\n{}\n", table().join("\n"));
}

/// One row a variable, in the functions' own order, with who reads it.
fn table() -> Vec<String> {
    let mut readers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut order: Vec<Variable> = Vec::new();
    let both = [("presign", &presign::Config::VARIABLES[..]), ("worker", &worker::Config::VARIABLES[..])];
    for (function, variables) in both {
        for variable in variables {
            let known = readers.entry(variable.name).or_default();
            if known.is_empty() {
                order.push(*variable);
            }
            known.push(function);
        }
    }
    let row = |Variable { name, default, meaning }: Variable| {
        format!("| `{name}` | {} | {default} | {meaning} |", readers[name].join(", "))
    };
    order.into_iter().map(row).collect()
}
