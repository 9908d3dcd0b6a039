//! The records of `probes/event.h` as the sensor reads them, against the BTF of the object that
//! ships: size of each, offset and size of each field, and that no field is left out.

use std::collections::BTreeSet;
use std::mem::{offset_of, size_of, size_of_val};

use dnstrail::skeleton::types::{
    connection_record, ends_record, exit_record, fork_record, packet_record, process_record, record_header, task_key,
    task_record,
};
use dnstrail::{probe, sighting};
use libbpf_rs::ObjectBuilder;
use libbpf_rs::btf::{Btf, types::Struct};
use libbpf_rs::{HasSize, btf::types::MemberAttr};

const OBJECT: &str = concat!(env!("OUT_DIR"), "/dnstrail.bpf.o");

/// Name, offset and size in bytes of each field.
type Fields = Vec<(String, usize, usize)>;

macro_rules! fields {
    ($record:ident { $($field:ident),+ $(,)? }) => {{
        let record = $record::default();
        (
            stringify!($record),
            size_of::<$record>(),
            vec![$((stringify!($field).to_owned(), offset_of!($record, $field), size_of_val(&record.$field))),+],
        )
    }};
}

fn in_btf(btf: &Btf<'_>, name: &str) -> (usize, Fields) {
    let record: Struct<'_> = btf.type_by_name(name).unwrap_or_else(|| panic!("{name} is not in the object's BTF"));
    let fields = record
        .iter()
        .map(|member| {
            let MemberAttr::Normal { offset } = member.attr else { panic!("{name} has a bit field") };
            let size = btf.type_by_id::<libbpf_rs::btf::BtfType<'_>>(member.ty).map_or(0, |ty| size_of_type(ty));
            (member.name.unwrap().to_string_lossy().into_owned(), offset as usize / 8, size)
        })
        .collect();
    (record.size(), fields)
}

fn size_of_type(ty: libbpf_rs::btf::BtfType<'_>) -> usize {
    let ty = ty.skip_mods_and_typedefs();
    if let Ok(array) = libbpf_rs::btf::types::Array::try_from(ty) {
        return array.capacity() * size_of_type(array.contained_type());
    }
    libbpf_rs::btf::types::Struct::try_from(ty)
        .map(|ty| ty.size())
        .or_else(|_| libbpf_rs::btf::types::Int::try_from(ty).map(|ty| ty.bits as usize / 8))
        .unwrap_or_else(|_| panic!("records hold integers, arrays and structs only"))
}

#[test]
fn every_record_lies_as_the_object_says() {
    let btf = Btf::from_path(OBJECT).expect("the built object has BTF");
    let records = [
        fields!(record_header { kind, flags, time }),
        fields!(task_key { pid, exec_id, start }),
        fields!(task_record { process, tid, uid, gid, reserved, name }),
        fields!(packet_record { header, task, socket, network_namespace, length, captured, segment_size, bytes }),
        fields!(ends_record { source, destination, source_port, destination_port, reserved }),
        fields!(process_record {
            header,
            process,
            parent,
            uid,
            gid,
            namespace_pid,
            pid_namespace,
            mount_namespace,
            network_namespace,
            name,
            parent_name,
            executable_length,
            directory_length,
            cgroup_length,
            arguments_length,
            arguments_total,
            length,
            executable_inode,
            executable_device,
            reserved,
            bytes,
        }),
        fields!(fork_record { header, child, parent, namespace_pid, reserved }),
        fields!(exit_record { header, process, code, reserved }),
        fields!(connection_record {
            header,
            task,
            socket,
            start,
            sent,
            received,
            source,
            destination,
            source_port,
            destination_port,
            network_namespace,
            stage,
            error,
        }),
    ];
    for (name, size, fields) in records {
        assert_eq!((size, fields), in_btf(&btf, name), "{name}");
    }
}

/// A program without a row would never be loaded, and a row without a program would never be noticed.
#[test]
fn each_program_of_the_object_has_its_row() {
    let object = ObjectBuilder::default().open_file(OBJECT).expect("the built object");
    let in_object: Vec<String> = object
        .progs()
        .map(|program| program.name().to_string_lossy().into_owned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let of_kinds = sighting::Name::ALL.iter().flat_map(|kind| kind.programs());
    let mut rows: Vec<&str> = probe::SHARED.iter().chain(of_kinds).map(|program| program.name).collect();
    rows.sort_unstable();
    assert_eq!(rows, in_object);
}

#[test]
fn no_record_has_a_hole() {
    let btf = Btf::from_path(OBJECT).expect("the built object has BTF");
    for name in [
        "record_header",
        "task_key",
        "task_record",
        "packet_record",
        "ends_record",
        "process_record",
        "fork_record",
        "exit_record",
        "connection_record",
    ] {
        let (size, fields) = in_btf(&btf, name);
        let end = fields.iter().fold(0, |end, (field, offset, size)| {
            assert_eq!(*offset, end, "a hole before {name}.{field} would carry kernel memory out");
            end + size
        });
        assert_eq!(end, size, "a hole at the end of {name}");
    }
}
