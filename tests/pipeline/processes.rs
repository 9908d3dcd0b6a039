//! A document shows the process that asked, even if that process forks, execs or ends meanwhile.

use super::*;
use dnstrail::event::{Exit, Fork};
use proptest::prelude::*;

fn executables(scene: &mut Scene, sent: Vec<Sent>) -> Vec<Option<String>> {
    let mut list = Vec::new();
    for one in sent {
        let packet = Packet {
            time: one.time,
            direction: one.direction,
            task: one.task,
            socket: 1,
            network_namespace: 1,
            length: 0,
            bytes: &one.bytes,
            ..Packet::default()
        };
        scene.pipeline.push(&Event::Packet(packet), &mut |_, document: Document<'_>| {
            if let Document::Dns(dns) = document {
                list.push(
                    dns.actor.process.as_ref().and_then(|process| process.executable.as_deref()).map(str::to_owned),
                );
            }
        });
    }
    list
}

#[test]
fn exec_and_exit_while_the_answer_is_on_its_way() {
    let mut scene = Scene::new();
    scene.exec(key(7));
    egress(CLIENT, SERVER, &query(1, "a.example")).by(7).to(&mut scene);
    let after = TaskKey { exec_id: 2, ..key(7) };
    scene.push(&Event::Process(ProcessRecord { executable: b"other\0", ..record(after) }));
    scene.push(&Event::Exit(Exit { time: START, process: after, code: 0 }));
    scene.tick(START + 4 * SECOND);
    scene.shown();
    let reply = ingress(SERVER, CLIENT, &answer(1, "a.example").0).at(START + 4 * SECOND);
    assert_eq!(executables(&mut scene, vec![reply]), [Some("/bin/7".to_owned())]);
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut scene = Scene::new();
    scene.exec(key(7));
    let later = TaskKey { start: 99, ..key(7) };
    let mut sent = egress(CLIENT, SERVER, &query(1, "a.example")).by(7);
    sent.task = Some(Task { process: later, ..task(7) });
    sent.to(&mut scene);
    assert_eq!(scene.one().pid, None, "its record was lost, so nothing is known");
    assert_eq!(scene.metrics.losses.process_unknown.get(), 1);
}

#[test]
fn a_child_uses_its_parents_socket() {
    let mut scene = Scene::new();
    scene.exec(key(7));
    scene.push(&Event::Fork(Fork { time: START, child: key(70), parent: key(7), namespace_pid: 70 }));
    egress(CLIENT, SERVER, &query(1, "a.example")).by(7).to(&mut scene);
    egress(CLIENT, SERVER, &query(2, "b.example")).by(70).to(&mut scene);
    ingress(SERVER, CLIENT, &answer(2, "b.example").0).by(7).to(&mut scene);
    ingress(SERVER, CLIENT, &answer(1, "a.example").0).by(7).to(&mut scene);
    assert_eq!(scene.shown().iter().map(|one| one.pid.unwrap()).collect::<Vec<_>>(), [7, 70, 70, 7]);
}

#[test]
fn many_short_lived_processes() {
    let mut scene = Scene::new();
    for pid in 10..10_010 {
        scene.exec(key(pid));
        let source = format!("192.0.2.1:{}", 20_000 + pid);
        egress(&source, SERVER, &query(1, &format!("p{pid}.example"))).by(pid).to(&mut scene);
        scene.push(&Event::Exit(Exit { time: START, process: key(pid), code: 0 }));
    }
    for pid in 10..10_010 {
        let source = format!("192.0.2.1:{}", 20_000 + pid);
        ingress(SERVER, &source, &answer(1, &format!("p{pid}.example")).0).to(&mut scene);
    }
    let documents = scene.shown();
    assert_eq!(documents.len(), 20_000);
    for one in documents {
        assert_eq!(one.name, format!("p{}.example", one.pid.unwrap()));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Exec(u32),
    Exit(u32),
    Ask { who: u32, id: u16 },
    Answer(usize),
}

proptest! {
    #![proptest_config(crate::dns::property())]

    /// Every name is asked once, by one image; so each document of that name must show that image.
    #[test]
    fn the_document_shows_the_image_that_asked(steps in prop::collection::vec(prop_oneof![
        1 => (1..5u32).prop_map(Step::Exec),
        1 => (1..5u32).prop_map(Step::Exit),
        4 => (1..5u32, 0..3u16).prop_map(|(who, id)| Step::Ask { who, id }),
        3 => any::<prop::sample::Index>().prop_map(|index| Step::Answer(index.index(1 << 20))),
    ], 1..200)) {
        let mut scene = Scene::new();
        let mut images: Vec<TaskKey> = (0..5).map(key).collect();
        for image in images.clone() {
            scene.push(&Event::Process(ProcessRecord { executable: b"0-1\0", ..record(image) }));
        }
        let mut asked: Vec<(u16, String)> = Vec::new();
        let mut now = START;
        for step in steps {
            now += 1_000_000;
            match step {
                Step::Exec(pid) | Step::Exit(pid) => {
                    let image = &mut images[pid as usize];
                    if matches!(step, Step::Exit(_)) {
                        scene.push(&Event::Exit(Exit { time: now, process: *image, code: 0 }));
                        image.start = now;
                    }
                    image.exec_id += 1;
                    let executable = format!("{}-{}\0", image.pid, image.exec_id);
                    scene.push(&Event::Process(ProcessRecord { executable: executable.as_bytes(), time: now, ..record(*image) }));
                }
                Step::Ask { who, id } => {
                    let image = images[who as usize];
                    let name = format!("{}-{}.{}.example", image.pid, image.exec_id, asked.len());
                    let mut sent = egress(CLIENT, SERVER, &query(id, &name)).at(now);
                    sent.task = Some(Task { process: image, ..task(who) });
                    asked.push((id, name));
                    // The images of the start all run "0-1".
                    let want = if image.exec_id == 1 { "/0-1".to_owned() } else { format!("/{}-{}", image.pid, image.exec_id) };
                    prop_assert_eq!(executables(&mut scene, vec![sent]), [Some(want)]);
                }
                Step::Answer(index) => {
                    if asked.is_empty() {
                        continue;
                    }
                    let (id, name) = &asked[index % asked.len()];
                    let reply = ingress(SERVER, CLIENT, &answer(*id, name).0).at(now).by(1);
                    let image = name.split('.').next().unwrap();
                    let want = if image.ends_with("-1") { "/0-1".to_owned() } else { format!("/{image}") };
                    prop_assert_eq!(executables(&mut scene, vec![reply]), [Some(want)]);
                }
            }
        }
    }
}
