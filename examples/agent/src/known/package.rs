// SPDX-License-Identifier: MPL-2.0
//! Of which version an executable is, by what its package says: nothing is executed for it.

use std::fs;
use std::path::Path;

/// The version of the package that has this file; nothing where no package has it.
pub(super) fn version(source: &str, package: &str, file: &Path) -> Option<String> {
    match source {
        "debian" => of_debian(package, file),
        "pypi" => of_python(package, file),
        "npm" => of_node(package, file),
        "crates" => of_cargo(package, file),
        _ => None,
    }
}

fn of_debian(package: &str, file: &Path) -> Option<String> {
    const DATABASE: &str = "/var/lib/dpkg";
    let status = fs::read_to_string(format!("{DATABASE}/status")).ok()?;
    let entry = status.split("\n\n").find(|entry| entry.lines().next() == Some(&format!("Package: {package}")))?;
    let field = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let architecture = field("Architecture")?;
    let lists = [format!("{DATABASE}/info/{package}.list"), format!("{DATABASE}/info/{package}:{architecture}.list")];
    let list = lists.iter().find_map(|path| fs::read_to_string(path).ok())?;
    // Packages may still have what they install into /usr as files of / (UsrMerge).
    let real = fs::canonicalize(file).ok()?;
    let is_it = |line: &str| fs::canonicalize(line).is_ok_and(|listed| listed == real);
    let name = real.file_name()?.to_str()?;
    list.lines().filter(|line| line.ends_with(name)).any(is_it).then(|| field("Version"))?.map(str::to_owned)
}

/// The script or program of a virtual environment.
fn of_python(package: &str, file: &Path) -> Option<String> {
    let begin = format!("{}-", package.replace(['-', '.'], "_")).to_lowercase();
    let libraries = fs::read_dir(file.parent()?.parent()?.join("lib")).ok()?;
    libraries.flatten().find_map(|library| {
        let names = fs::read_dir(library.path().join("site-packages")).ok()?.flatten();
        names.filter_map(|entry| entry.file_name().into_string().ok()).find_map(|name| {
            let name = name.strip_suffix(".dist-info")?;
            let has_begun = name.get(..begin.len()).is_some_and(|it| it.replace('.', "_").to_lowercase() == begin);
            has_begun.then(|| name[begin.len()..].to_owned())
        })
    })
}

/// The link of `node_modules/.bin`, or what it leads to.
fn of_node(package: &str, file: &Path) -> Option<String> {
    fs::canonicalize(file).ok()?.ancestors().find_map(|folder| {
        let text = fs::read_to_string(folder.join("package.json")).ok()?;
        let about: serde_json::Value = serde_json::from_str(&text).ok()?;
        (about["name"] == package).then(|| about["version"].as_str().map(str::to_owned))?
    })
}

/// What `cargo install` has made.
fn of_cargo(package: &str, file: &Path) -> Option<String> {
    let installed = fs::read_to_string(file.parent()?.parent()?.join(".crates.toml")).ok()?;
    let words = installed.lines().find_map(|line| line.strip_prefix(&format!("\"{package} ")))?;
    words.split(' ').next().map(str::to_owned)
}
