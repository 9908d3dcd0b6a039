//! Compiles `probes/` with clang and generates the skeleton: the object, its programs and maps,
//! and the record types of `event.h` from the object's BTF. The object of trials needs none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use libbpf_cargo::SkeletonBuilder;

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=probes");
    let out = PathBuf::from(env::var("OUT_DIR").context("cargo sets OUT_DIR")?);
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    println!("cargo:rerun-if-env-changed=CLANG");
    ensure!(
        Command::new(&clang).arg("--version").output().is_ok_and(|output| output.status.success()),
        "the kernel probes are compiled by clang, and `{clang}` does not run: install it with `apt-get install clang`, \
         or name another one in CLANG"
    );
    let arguments = clang_args()?;
    let object = |name: &str| {
        let mut builder = SkeletonBuilder::new();
        builder
            .source(format!("probes/{name}.c"))
            .clang(&clang)
            .clang_args(&arguments)
            .obj(out.join(format!("{name}.o")));
        builder
    };
    object("trial.bpf").build().context("probes/trial.bpf.c does not compile")?;
    object("dnstrail.bpf")
        .build_and_generate(out.join("dnstrail.skel.rs"))
        .context("the kernel probes in probes/ do not compile")
}

fn clang_args() -> Result<Vec<String>> {
    let (target, include) = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => ("x86", "x86_64-linux-gnu"),
        Ok("aarch64") => ("arm64", "aarch64-linux-gnu"),
        other => bail!("the probes are not ported to {other:?}: x86_64 and aarch64 are"),
    };
    let headers = Path::new("/usr/include").join(include);
    ensure!(
        headers.join("asm/types.h").exists() || fs::exists("/usr/include/asm/types.h").unwrap_or(false),
        "the kernel's user-space headers are missing: install them with `apt-get install linux-libc-dev`"
    );
    Ok(vec![
        format!("-D__TARGET_ARCH_{target}"),
        format!("-I{}", headers.display()),
        "-mcpu=v3".into(),
        // The debug information of the object names source files, and no folder of this machine.
        format!("-ffile-prefix-map={}=.", env::var("CARGO_MANIFEST_DIR").context("cargo sets it")?),
        "-Wall".into(),
        "-Werror".into(),
    ])
}
