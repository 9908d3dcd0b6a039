//! `process.*`, `user.*` and `container.*`: who asked. What is not known is absent. Identity
//! stands before arguments, which may be long.

use serde::ser::{SerializeStruct, SerializeTupleStruct};
use serde::{Serialize, Serializer};

use super::json::{Json, Piece};
use super::limits::{Cuts, Limits, Part};
use super::text::{self, Id, KernelName};
use super::time::Instant;
use crate::event::TaskKey;
use crate::process::{self, Actor};

/// Who asked: its image, of which every document says the same, and the thread of this one.
#[derive(Debug)]
pub(super) struct Process<'a> {
    pid: u32,
    image: Option<&'a process::Process>,
    pub thread: Option<Thread<'a>>,
    limits: Limits,
    /// The image as documents have it, unless it is too long for that.
    written: Option<&'a [Box<[u8]>; 2]>,
}

/// What is told of an image, or of a parent, of which less is.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub pid: u32,
    pub name: Option<&'a str>,
    pub executable: Option<&'a str>,
    pub entity_id: Option<&'a str>,
    /// Of the image. The user of the thread that asked is `user.*`.
    pub user: Option<Named<'a>>,
    group: Option<Named<'a>>,
    /// The pid in the process's own namespace.
    pub vpid: Option<u32>,
    pub start: Option<Instant>,
    pub working_directory: Option<&'a str>,
    pub command_line: Option<&'a str>,
    /// Of the process, also where `args` shows less.
    args_count: Option<usize>,
    args: Option<Args<'a>>,
}

/// A user or a group.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Named<'a> {
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Thread<'a> {
    pub id: u32,
    name: KernelName<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Container<'a> {
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<&'static str>,
}

/// Bytes of an image that are kept with it: enough for all but generated command lines. Most take a third, and
/// only processes that ask have them.
const WRITTEN: usize = 2_048;

impl<'a> Process<'a> {
    /// `None` when nothing is known of who asked.
    pub(super) fn new(actor: &'a Actor, limits: Limits, cuts: &mut Cuts) -> Option<Self> {
        let (pid, image) = (actor.pid()?, actor.process.as_deref());
        let thread = actor.task.as_ref().map(|task| Thread { id: task.tid, name: KernelName(&task.name) });
        let written =
            image.filter(|_| limits.allow_what_any_line_does()).and_then(|image| image.written.get(|| write(image)));
        if let Some(image) = image.filter(|_| written.is_none()) {
            Image::new(image, limits, cuts);
            Image::parent(image, limits, cuts);
        }
        Some(Self { pid, image, thread, limits, written })
    }

    pub(super) fn image(&self) -> Image<'a> {
        match self.image {
            Some(image) => Image::new(image, self.limits, &mut Cuts::default()),
            None => Image::unknown(self.pid),
        }
    }

    pub(super) fn parent(&self) -> Option<Image<'a>> {
        Image::parent(self.image?, self.limits, &mut Cuts::default())
    }

    /// For a person to read.
    pub(super) fn label(&self) -> (&'a str, u32) {
        let name = self.image.map(|image| text::beginning(&image.name, self.limits.text));
        (name.unwrap_or("a process"), self.pid)
    }
}

impl Serialize for Process<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let thread = Asking { thread: self.thread.as_ref() };
        let mut parts = serializer.serialize_tuple_struct("process", 3)?;
        if let Some([identity, rest]) = self.written {
            parts.serialize_field(&Piece(identity))?;
            parts.serialize_field(&thread)?;
            parts.serialize_field(&Piece(rest))?;
        } else {
            let image = self.image();
            parts.serialize_field(&Identity(&image))?;
            parts.serialize_field(&thread)?;
            parts.serialize_field(&Rest(&image, self.parent()))?;
        }
        parts.end()
    }
}

/// An image as every document has it: what stands before the thread and what stands behind it. `None`
/// where it is long, or would be cut in the shortest line.
fn write(image: &process::Process) -> Option<[Box<[u8]>; 2]> {
    let (limits, mut cuts) = (Limits::of_any_line(), Cuts::default());
    let (told, parent) = (Image::new(image, limits, &mut cuts), Image::parent(image, limits, &mut cuts));
    let (mut identity, mut rest) = (Vec::with_capacity(WRITTEN / 4), Vec::with_capacity(WRITTEN));
    Identity(&told).serialize(&mut Json(&mut identity)).ok()?;
    Rest(&told, parent).serialize(&mut Json(&mut rest)).ok()?;
    (cuts.is_empty() && identity.len() + rest.len() <= WRITTEN).then(|| [identity.into(), rest.into()])
}

#[derive(Serialize)]
struct Asking<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<&'a Thread<'a>>,
}

/// What stands before the thread.
struct Identity<'a>(&'a Image<'a>);

impl Serialize for Identity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("identity", 6)?;
        object.serialize_field("pid", &self.0.pid)?;
        some(&mut object, "name", self.0.name)?;
        some(&mut object, "executable", self.0.executable)?;
        some(&mut object, "entity_id", self.0.entity_id)?;
        some(&mut object, "user", self.0.user)?;
        some(&mut object, "group", self.0.group)?;
        object.end()
    }
}

/// What stands behind it, a parent among that.
struct Rest<'a>(&'a Image<'a>, Option<Image<'a>>);

impl Serialize for Rest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("rest", 7)?;
        some(&mut object, "vpid", self.0.vpid)?;
        some(&mut object, "start", self.0.start)?;
        some(&mut object, "working_directory", self.0.working_directory)?;
        some(&mut object, "parent", self.1.as_ref())?;
        some(&mut object, "command_line", self.0.command_line)?;
        some(&mut object, "args_count", self.0.args_count)?;
        some(&mut object, "args", self.0.args)?;
        object.end()
    }
}

/// As a parent, which has none of its own.
impl Serialize for Image<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_tuple_struct("parent", 2)?;
        parts.serialize_field(&Identity(self))?;
        parts.serialize_field(&Rest(self, None))?;
        parts.end()
    }
}

fn some<T: Serialize, S: SerializeStruct>(
    object: &mut S,
    name: &'static str,
    value: Option<T>,
) -> Result<(), S::Error> {
    value.map_or(Ok(()), |value| object.serialize_field(name, &value))
}

impl<'a> Image<'a> {
    fn new(image: &'a process::Process, limits: Limits, cuts: &mut Cuts) -> Self {
        let mut text = |text: Option<&'a str>, part| text.map(|text| cuts.text(text, limits.text, part));
        let known = Self {
            name: text(Some(&image.name), Part::Name),
            executable: text(image.executable.as_deref(), Part::Executable),
            entity_id: text(Some(&image.entity_id), Part::EntityId),
            user: Some(Named { id: Id(image.uid), name: text(image.user_name.as_deref(), Part::UserName) }),
            group: Some(Named { id: Id(image.gid), name: text(image.group_name.as_deref(), Part::GroupName) }),
            vpid: image.namespace_pid,
            start: Some(Instant(image.start())),
            working_directory: text(image.working_directory.as_deref(), Part::WorkingDirectory),
            ..Self::unknown(image.key.pid)
        };
        known.with_arguments(image, limits, (Part::CommandLine, Part::Args), cuts)
    }

    fn parent(child: &'a process::Process, limits: Limits, cuts: &mut Cuts) -> Option<Self> {
        let mut text = |text: Option<&'a str>, part| text.map(|text| cuts.text(text, limits.text, part));
        let Some(image) = child.parent.as_deref() else {
            let TaskKey { pid, .. } = child.parent_key?;
            let name = text(child.parent_name.as_deref(), Part::ParentName);
            return Some(Self { name, ..Self::unknown(pid) });
        };
        let known = Self {
            name: text(Some(&image.name), Part::ParentName),
            executable: text(image.executable.as_deref(), Part::ParentExecutable),
            entity_id: text(Some(&image.entity_id), Part::ParentEntityId),
            start: Some(Instant(image.start())),
            ..Self::unknown(image.key.pid)
        };
        Some(known.with_arguments(image, limits, (Part::ParentCommandLine, Part::ParentArgs), cuts))
    }

    fn with_arguments(self, image: &'a process::Process, limits: Limits, parts: (Part, Part), cuts: &mut Cuts) -> Self {
        let Some(all) = image.arguments.as_deref() else { return self };
        Self {
            command_line: Some(cuts.text(all.command_line(), limits.arguments, parts.0)),
            args_count: Some(all.count()),
            args: Some(Args::new(all, limits.arguments, parts.1, cuts)),
            ..self
        }
    }

    fn unknown(pid: u32) -> Self {
        Self {
            pid,
            name: None,
            executable: None,
            entity_id: None,
            user: None,
            group: None,
            vpid: None,
            start: None,
            working_directory: None,
            command_line: None,
            args_count: None,
            args: None,
        }
    }
}

impl<'a> Named<'a> {
    /// The user of the thread that asked; its name is known when it is that of the image.
    pub(super) fn asker(actor: &'a Actor, limits: Limits, cuts: &mut Cuts) -> Option<Self> {
        let (image, task) = (actor.process.as_deref(), actor.task.as_ref());
        let id = task.map(|task| task.uid).or(image.map(|image| image.uid))?;
        let name = image.filter(|image| image.uid == id).and_then(|image| image.user_name.as_deref());
        Some(Self { id: Id(id), name: name.map(|name| cuts.text(name, limits.text, Part::UserName)) })
    }
}

impl<'a> Container<'a> {
    pub(super) fn of(actor: &'a Actor, limits: Limits, cuts: &mut Cuts) -> Option<Self> {
        let container = actor.process.as_deref()?.container.as_ref()?;
        Some(Self { id: cuts.text(&container.id, limits.text, Part::ContainerId), runtime: container.runtime })
    }
}

/// The first arguments, as many as have room.
#[derive(Debug, Clone, Copy)]
struct Args<'a> {
    all: &'a process::Arguments,
    shown: usize,
}

impl<'a> Args<'a> {
    /// Those that take no more than `limit` together, each with its quotes and comma.
    fn new(all: &'a process::Arguments, limit: usize, part: Part, cuts: &mut Cuts) -> Self {
        const PUNCTUATION: usize = 3;
        let mut left = limit;
        let mut shown = 0;
        for argument in all.each() {
            let length = text::escaped_length(argument, left).map(|length| length + PUNCTUATION);
            let Some(rest) = length.and_then(|length| left.checked_sub(length)) else { break };
            left = rest;
            shown += 1;
        }
        if shown < all.count() {
            cuts.add(part);
        }
        Self { all, shown }
    }
}

impl Serialize for Args<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all.each().take(self.shown))
    }
}
