//! Embeds the built console (`console/`, by `npm run build`), if it has been built.

use std::error::Error;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    // The folder above, which is there in any case: cargo takes a path that is missing for one that has changed.
    println!("cargo::rerun-if-changed=console");
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("console/dist");
    let mut files = Vec::new();
    if folder.is_dir() {
        collect(&folder, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        entry(&mut table, &folder, &file)?;
    }
    table.push(']');
    let target = PathBuf::from(variable("OUT_DIR")?).join("console.rs");
    Ok(std::fs::write(target, table)?)
}

#[expect(clippy::disallowed_methods, reason = "cargo tells build scripts where they are in this way only")]
fn variable(name: &str) -> Result<String, std::env::VarError> {
    std::env::var(name)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if !packed(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether it is a smaller form of the file beside it.
fn packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "br" || extension == "gz")
}

fn entry(table: &mut String, folder: &Path, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    std::fs::read(file)?.hash(&mut hasher);
    let path = file.strip_prefix(folder)?.to_str().ok_or("a file of the console has no UTF-8 name")?;
    let smaller = |suffix: &str| {
        let name = format!("{}.{suffix}", file.display());
        let there = Path::new(&name).is_file();
        if there { format!("Some(include_bytes!({name:?}))") } else { "None".to_owned() }
    };
    writeln!(
        table,
        "File {{ path: {:?}, tag: \"\\\"{:016x}\\\"\", plain: include_bytes!({file:?}), brotli: {}, gzip: {} }},",
        format!("/{}", path.replace('\\', "/")),
        hasher.finish(),
        smaller("br"),
        smaller("gz"),
    )?;
    Ok(())
}
