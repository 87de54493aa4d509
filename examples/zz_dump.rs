#![allow(missing_docs)]
use ultramotion::sources::*;
fn main() {
    let mut args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let mut o = SourceOptions::default();
    let mut quiet = false;
    while let Some(a) = args.first().cloned() {
        if a == "--frames" { o.selection.range = args[1].to_str().unwrap().parse::<FrameSelection>().unwrap().range; args.drain(..2); }
        else if a == "--stride" { o.selection.stride = args[1].to_str().unwrap().parse().unwrap(); args.drain(..2); }
        else if a == "--threads" { o.decode_threads = args[1].to_str().unwrap().parse().unwrap(); args.drain(..2); }
        else if a == "-q" { quiet = true; args.remove(0); }
        else { break }
    }
    let found = expand(&args, ExpandOptions::default(), &mut std::io::stdin().lock());
    println!("ignored {:?}", found.ignored);
    for (i, s) in found.sources.iter().enumerate() {
        match s {
            Err(e) => println!("ERR {e}"),
            Ok(s) => {
                println!("SOURCE {} {:?} {} files={}", s.name, s.kind, s.path.display(), s.files.len());
                match open(s, i, &o) {
                    Err(e) => println!("OPENERR {e}"),
                    Ok(mut src) => {
                        println!("info count={:?} rate={:?} kind={:?}", src.info().frame_count, src.info().frame_rate, src.info().kind);
                        let (mut n, mut errs) = (0, 0);
                        loop {
                            match src.next_frame() {
                                Ok(None) => break,
                                Err(e) => { errs += 1; println!("FRAMEERR {e}") }
                                Ok(Some(f)) => { n += 1; if !quiet {
                                    let d = f.image.data(); let c = f.image.channels().count();
                                    let sum: u64 = d.iter().map(|&v| u64::from(v)).sum();
                                    println!("F {} {:?} {} {:?} mean={:.3} first={:?}", f.index, f.timestamp, f.size(), f.image.channels(), sum as f64 / d.len() as f64, &d[..c]); } }
                            }
                        }
                        println!("END frames={n} errors={errs}");
                    }
                }
            }
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
