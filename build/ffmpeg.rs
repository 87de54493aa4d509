//! Writes `$OUT_DIR/ffmpeg.rs`: for every function of FFmpeg's libraries an entry that jumps to where `src/av/load.rs` found it.
//!
//! The linker takes a function from the first that has it, and these entries stand before FFmpeg's libraries: none of them is needed
//! when the program starts. An entry whose function was not looked up yet asks `resolve` for it, with the registers of the arguments
//! kept, so that functions with any arguments work, variable numbers of them included.

use object::{Object, ObjectSymbol, SymbolKind, elf, read::elf::ElfFile64};
use std::{
    collections::BTreeSet,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// How entries are written for an instruction set. `{functions}` is the table of what was found, of eight bytes each.
struct Machine {
    /// `CARGO_CFG_TARGET_ARCH`.
    name: &'static str,
    /// Jumps to function `INDEX`, or to `RESOLVER` with the index in a register that carries no argument.
    entry: &'static str,
    /// Keeps the arguments, asks `{resolve}` for the function and jumps there.
    resolver: &'static str,
    /// Of `global_asm!`.
    options: &'static str,
}

const MACHINES: [Machine; 2] = [
    Machine {
        name: "x86_64",
        entry: "
            movq {functions}+8*INDEX(%rip), %r10
            movl $INDEX, %r11d
            testq %r10, %r10
            jz RESOLVER
            jmpq *%r10",
        resolver: "
            .cfi_startproc
            pushq %rbp
            .cfi_def_cfa_offset 16
            .cfi_offset %rbp, -16
            movq %rsp, %rbp
            .cfi_def_cfa_register %rbp
            subq $192, %rsp
            movaps %xmm0, (%rsp)
            movaps %xmm1, 16(%rsp)
            movaps %xmm2, 32(%rsp)
            movaps %xmm3, 48(%rsp)
            movaps %xmm4, 64(%rsp)
            movaps %xmm5, 80(%rsp)
            movaps %xmm6, 96(%rsp)
            movaps %xmm7, 112(%rsp)
            movq %rdi, 128(%rsp)
            movq %rsi, 136(%rsp)
            movq %rdx, 144(%rsp)
            movq %rcx, 152(%rsp)
            movq %r8, 160(%rsp)
            movq %r9, 168(%rsp)
            movq %rax, 176(%rsp)
            movl %r11d, %edi
            callq {resolve}
            movq %rax, %r11
            movaps (%rsp), %xmm0
            movaps 16(%rsp), %xmm1
            movaps 32(%rsp), %xmm2
            movaps 48(%rsp), %xmm3
            movaps 64(%rsp), %xmm4
            movaps 80(%rsp), %xmm5
            movaps 96(%rsp), %xmm6
            movaps 112(%rsp), %xmm7
            movq 128(%rsp), %rdi
            movq 136(%rsp), %rsi
            movq 144(%rsp), %rdx
            movq 152(%rsp), %rcx
            movq 160(%rsp), %r8
            movq 168(%rsp), %r9
            movq 176(%rsp), %rax
            leave
            .cfi_def_cfa %rsp, 8
            jmpq *%r11
            .cfi_endproc",
        options: ", options(att_syntax)",
    },
    Machine {
        name: "aarch64",
        // An acquiring load: what the library is made of was written before its functions were.
        entry: "
            adrp x16, {functions}+8*INDEX
            add x16, x16, :lo12:{functions}+8*INDEX
            ldar x16, [x16]
            mov w17, #INDEX
            cbz x16, RESOLVER
            br x16",
        resolver: "
            .cfi_startproc
            stp x29, x30, [sp, #-224]!
            .cfi_def_cfa_offset 224
            .cfi_offset x29, -224
            .cfi_offset x30, -216
            mov x29, sp
            stp x0, x1, [sp, #16]
            stp x2, x3, [sp, #32]
            stp x4, x5, [sp, #48]
            stp x6, x7, [sp, #64]
            str x8, [sp, #80]
            stp q0, q1, [sp, #96]
            stp q2, q3, [sp, #128]
            stp q4, q5, [sp, #160]
            stp q6, q7, [sp, #192]
            mov w0, w17
            bl {resolve}
            mov x16, x0
            ldp x0, x1, [sp, #16]
            ldp x2, x3, [sp, #32]
            ldp x4, x5, [sp, #48]
            ldp x6, x7, [sp, #64]
            ldr x8, [sp, #80]
            ldp q0, q1, [sp, #96]
            ldp q2, q3, [sp, #128]
            ldp q4, q5, [sp, #160]
            ldp q6, q7, [sp, #192]
            ldp x29, x30, [sp], #224
            .cfi_def_cfa_offset 0
            br x16
            .cfi_endproc",
        options: "",
    },
];

const RESOLVER: &str = "ultramotion_resolve_ffmpeg";

/// FFmpeg's libraries in the order in which one needs another. `src/av/load.rs` loads the last two for devices alone.
const LIBRARIES: [&str; 7] = [
    "avutil",
    "swresample",
    "swscale",
    "avcodec",
    "avformat",
    "avfilter",
    "avdevice",
];

/// What a library says of itself.
struct Library {
    name: &'static str,
    soname: String,
    functions: Vec<String>,
}

/// Where the target can load libraries while it runs, writes the file and sets the configuration `ffmpeg_at_first_call`. Libraries
/// that cannot be read, as static ones, are linked as they always are, which a warning says.
pub(crate) fn load_at_first_call() {
    println!("cargo::rerun-if-changed=build/ffmpeg.rs");
    let of_target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let loads = of_target("OS") == "linux"
        && of_target("ENV") == "gnu"
        && of_target("POINTER_WIDTH") == "64"
        && of_target("FEATURE").split(',').all(|it| it != "crt-static");
    let architecture = of_target("ARCH");
    let machine = MACHINES.iter().find(|it| it.name == architecture);
    let Some(machine) = machine.filter(|_| loads) else {
        return;
    };
    match libraries(machine).and_then(|libraries| write(&libraries, machine)) {
        Ok(()) => println!("cargo::rustc-cfg=ffmpeg_at_first_call"),
        Err(why) => println!("cargo::warning=FFmpeg is loaded when the program starts: {why}"),
    }
}

fn libraries(machine: &Machine) -> Result<Vec<Library>, String> {
    let mut seen = BTreeSet::new();
    let read = |name| {
        let path = find(name, machine)?;
        println!("cargo::rerun-if-changed={}", path.display());
        let mut library = read(name, &path).map_err(|why| format!("{}: {why}", path.display()))?;
        library.functions.retain(|name| seen.insert(name.clone()));
        Ok(library)
    };
    LIBRARIES.into_iter().map(read).collect()
}

/// The file of a library, in the folder from which the crate `ffmpeg-sys-next` has it linked.
fn find(name: &str, machine: &Machine) -> Result<PathBuf, String> {
    println!("cargo::rerun-if-env-changed=FFMPEG_DIR");
    let folders = match env::var_os("FFMPEG_DIR") {
        Some(folder) => {
            let below = |name: &str| Path::new(&folder).join(name);
            let own = match machine.name {
                "x86_64" => below("lib/amd64"),
                _ => below("lib/arm64"),
            };
            vec![if own.exists() { own } else { below("lib") }]
        }
        None => {
            let mut asked = pkg_config::Config::new();
            asked.cargo_metadata(false).env_metadata(true);
            let found = asked.probe(&format!("lib{name}"));
            found.map_err(|why| why.to_string())?.link_paths
        }
    };
    let file = format!("lib{name}.so");
    let mut places = folders.iter().map(|folder| folder.join(&file));
    places
        .find(|path| path.is_file())
        .ok_or_else(|| format!("there is no {file} in {folders:?}"))
}

fn read(name: &'static str, path: &Path) -> Result<Library, String> {
    let bytes = fs::read(path).map_err(|why| why.to_string())?;
    let unread = |why: object::Error| why.to_string();
    let file: ElfFile64<'_> = ElfFile64::parse(&*bytes).map_err(unread)?;
    let mut functions = Vec::new();
    for symbol in file.dynamic_symbols() {
        let name = symbol.name().map_err(unread)?;
        let is_word = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if symbol.kind() == SymbolKind::Text
            && symbol.is_global()
            && symbol.is_definition()
            && is_word
        {
            functions.push(name.to_owned());
        }
    }
    Ok(Library {
        name,
        soname: soname(&file).map_err(unread)?.ok_or("has no soname")?,
        functions,
    })
}

fn soname(file: &ElfFile64<'_>) -> object::Result<Option<String>> {
    let table = file.elf_dynamic_table()?;
    let entry = table.iter().find(|entry| entry.tag == elf::DT_SONAME);
    let name = entry.map(|entry| table.string(entry)).transpose()?;
    Ok(name.and_then(|name| str::from_utf8(name).ok().map(str::to_owned)))
}

fn write(libraries: &[Library], machine: &Machine) -> Result<(), String> {
    let (mut table, mut code, mut count) = (String::new(), String::new(), 0);
    for library in libraries {
        let (name, soname) = (library.name.to_uppercase(), &library.soname);
        let functions = library.functions.join("\\0");
        let _ = writeln!(
            table,
            "    Library::new({soname:?}, ffi::LIB{name}_VERSION_MINOR, {count}, \"{functions}\\0\"),"
        );
        for function in &library.functions {
            let entry = machine.entry.replace("INDEX", &count.to_string());
            // Weak: two versions of this crate in one program do not collide. Hidden: FFmpeg's libraries do not call it.
            let _ = writeln!(
                code,
                ".weak {function}\n.hidden {function}\n.type {function},%function\n.p2align 3\n\
                 {function}:{}\n.size {function},.-{function}",
                entry.replace("RESOLVER", RESOLVER)
            );
            count += 1;
        }
    }
    // An entry names its function by 16 bits, and on aarch64 reaches the resolver within a megabyte.
    if count > 1 << 15 {
        return Err(format!("they have {count} functions"));
    }
    let (resolver, options) = (machine.resolver, machine.options);
    let text = format!(
        "static LIBRARIES: [Library; {}] = [\n{table}];\n\
         static FUNCTIONS: [AtomicPtr<c_void>; {count}] = [const {{ AtomicPtr::new(ptr::null_mut()) }}; {count}];\n\
         core::arch::global_asm!(r#\"\n.pushsection .text.ffmpeg,\"ax\",%progbits\n\
         .type {RESOLVER},%function\n{RESOLVER}:{resolver}\n.size {RESOLVER},.-{RESOLVER}\n{code}.popsection\n\"#, \
         functions = sym FUNCTIONS, resolve = sym resolve{options});\n",
        libraries.len()
    );
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    let file = Path::new(&out).join("ffmpeg.rs");
    fs::write(&file, text).map_err(|why| format!("{}: {why}", file.display()))
}
