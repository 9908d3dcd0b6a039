use dnstrail::event::*;
fn main() {
    let metrics = std::sync::Arc::new(dnstrail::metrics::Metrics::default());
    let s = dnstrail::probe::Settings {
        ports: vec![53, 5353, 5355, 5399],
        observe: Default::default(),
        hooks: Default::default(),
        ring_bytes: 16 << 20,
    };
    let mut n = 0;
    let t = std::time::Instant::now();
    let mut p = match dnstrail::probe::Probes::open(&s, &metrics, move |e| {
        n += 1;
        match e {
            Event::Packet(p) => println!(
                "{n} PKT {:?} {:?} sock {} ns {} len {} {:02x?}",
                p.direction,
                p.task.map(|t| (
                    t.process,
                    t.tid,
                    t.uid,
                    String::from_utf8_lossy(&t.name).trim_end_matches('\0').to_owned()
                )),
                p.socket,
                p.network_namespace,
                p.length,
                &p.bytes[..p.bytes.len().min(28)]
            ),
            Event::Process(r) => println!(
                "{n} PROC {:?} parent {:?} exec {} cwd {} cg {} args {:?} of {} {:?} flags {} {} {}",
                r.process,
                r.parent,
                path(r.executable),
                path(r.working_directory),
                path(r.cgroup),
                String::from_utf8_lossy(r.arguments),
                r.arguments_total,
                String::from_utf8_lossy(&r.name),
                r.at_exec,
                r.deleted,
                r.kernel_thread
            ),
            other => println!("{n} {other:?}"),
        }
    }) {
        Ok(p) => p,
        Err(e) => {
            eprintln!("{e}");
            return;
        }
    };
    println!("opened in {:?} {:#?}", t.elapsed(), p.ways_in());
    loop {
        while p.ring().drain() {}
        p.ring().wait(&[]);
    }
}
