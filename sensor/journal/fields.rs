//! The fields and actions of the sensor's own reports.

use crate::field::Holds::{Flag, Message, Object, Text};
use crate::field::{Action, Fields, Holds, field, own};
use crate::schema::ecs::fields::{ACTOR, MESSAGE, THREAT};

const COUNT: Holds = Holds::COUNT;

pub const FIELDS: Fields = &[
    field("error.message", Message, "error", "status_detail", "").always(),
    own("dnstrail.sensor.command_line", Text, "").always(),
    own("dnstrail.sensor.degraded", Flag, "Something is not seen on this host; `dnstrail.ways_in` says what").always(),
    own("dnstrail.sensor.walls", Text, "The walls around the process that reads foreign bytes").list(),
    own("dnstrail.sensor.walls_missing", Text, "The walls that this kernel does not have").list(),
    own("dnstrail.ways_in", Object, "The roles, and the hooks that fill them").list(),
    own("dnstrail.ways_in.role", Text, "The fact that must be known").always(),
    own("dnstrail.ways_in.taken", Text, "The hook that fills the role"),
    own("dnstrail.ways_in.not_seen", Text, "The sightings that are missed"),
    own("dnstrail.ways_in.refused", Object, "Hooks that were tried first").list(),
    own("dnstrail.ways_in.refused.hook", Text, "").always(),
    own("dnstrail.ways_in.refused.reason", Text, "Why the kernel refused it").always(),
    own("dnstrail.rules.names", COUNT, "Names in force").always(),
    own("dnstrail.rules.addresses", COUNT, "Addresses and networks in force").always(),
    own("dnstrail.rules.skipped", COUNT, "Lines that were not understood").always(),
    own("dnstrail.rules.lists", Object, "").list(),
    own("dnstrail.rules.lists.id", Text, "").always(),
    own("dnstrail.rules.lists.path", Text, "").always(),
    own("dnstrail.rules.lists.version", Text, "A hash of the content"),
    own("dnstrail.rules.lists.names", COUNT, "").always(),
    own("dnstrail.rules.lists.addresses", COUNT, "").always(),
    own("dnstrail.rules.lists.skipped", COUNT, "").always(),
    own("dnstrail.rules.lists.error", Text, "Why it was not loaded; its last good version stays in force"),
    own("dnstrail.rules.lists.age", COUNT, "Seconds since this version came into force"),
    own("dnstrail.status.uptime", COUNT, "Seconds since the start").always(),
    own("dnstrail.status.degraded", Flag, "Something is not seen on this host; `dnstrail.ways_in` says what").always(),
    own("dnstrail.status.blind", Flag, "Something was seen on this host, and is not seen now").always(),
    own("dnstrail.status.resident", COUNT, "Bytes of memory of the whole program"),
    own("dnstrail.outputs", Object, "The state of each output").list(),
    own("dnstrail.outputs.name", Text, "").always(),
    own("dnstrail.outputs.failing", Flag, "").always(),
    own("dnstrail.outputs.lines", COUNT, "Lines given to the output since the start").always(),
    own("dnstrail.outputs.dropped", COUNT, "Lines known not to have arrived").always(),
    own("dnstrail.outputs.waiting_lines", COUNT, "Lines that have not left yet").always(),
    own("dnstrail.outputs.waiting_bytes", COUNT, "").always(),
    own("dnstrail.outputs.away", COUNT, "Seconds for which the output has taken nothing"),
    own("dnstrail.memory.*.bytes", COUNT, "Bytes of a table that other programs can fill, by the names of the metrics")
        .always(),
    own("dnstrail.memory.*.bound", COUNT, "The most that the table may hold").always(),
    own("dnstrail.output.name", Text, "").always(),
    own("dnstrail.output.failing", Flag, "").always(),
    own("dnstrail.output.dropped", COUNT, "Documents that the output did not take").always(),
    own("dnstrail.traffic.*", COUNT, "Totals since the start, by the names of the metrics"),
    own("dnstrail.loss.*.growth", COUNT, "Since the last report, by the names of the metrics"),
    own("dnstrail.loss.*.total", COUNT, "Since the start").always(),
    own("dnstrail.culprits", Object, "The processes to which most of the losses are due, the worst first").list(),
    own("dnstrail.culprits.loss", Text, "The name below `dnstrail.loss`").always(),
    own("dnstrail.culprits.count", COUNT, "How many packets, or how many connections that were muted").always(),
    own("dnstrail.culprits.pid", COUNT, "").always(),
    own("dnstrail.culprits.name", Text, "As `process.name`"),
    own("dnstrail.culprits.executable", Text, "As `process.executable`"),
    own("dnstrail.culprits.entity_id", Text, "As `process.entity_id`"),
    own("dnstrail.culprits.user_id", Holds::Form("^[0-9]+$"), "As `process.user.id`"),
    own(
        "dnstrail.alert.repeats",
        Holds::POSITIVE,
        "How often the process matched the entry again within the alert window, none of which was an alert",
    )
    .always(),
];

/// An action without the fields that only some reports have.
const REPORT: Action = Action {
    name: "",
    meaning: "",
    kinds: &["state"],
    dataset: "dnstrail.sensor",
    tables: &[FIELDS, MESSAGE],
    always: &[&["message"]],
    never: &[],
    values: &[],
    lists: &[],
};

/// The parts of a status.
const STATUS: [&str; 3] = ["dnstrail.status", "dnstrail.outputs", "dnstrail.memory"];

const NO_TIMES: [&str; 6] =
    ["event.category", "event.outcome", "event.duration", "event.start", "event.end", "event.severity"];

/// The parts of `dnstrail` and of a report: each report has its own.
macro_rules! without {
    ($($part:literal),* $(; $($field:literal),*)?) => {
        &[
            NO_TIMES[0], NO_TIMES[1], NO_TIMES[2], NO_TIMES[3], NO_TIMES[4], NO_TIMES[5],
            STATUS[0], STATUS[1], STATUS[2],
            $($part,)* $($($field,)*)?
        ]
    };
}

pub const ACTIONS: &[Action] = &[
    Action {
        name: "alert-summary",
        meaning: "how often one process repeated an alert within `--alert-window`: `dnstrail.alert.repeats`, from `event.start` (the alert) to `event.end` (the last repeat)",
        kinds: &["alert"],
        dataset: "dnstrail.dns",
        tables: &[FIELDS, MESSAGE, ACTOR, THREAT],
        always: &[&[
            "message",
            "rule",
            "threat",
            "dnstrail.alert",
            "dnstrail.matches",
            "event.category",
            "event.duration",
            "event.start",
            "event.end",
            "event.reason",
        ]],
        never: &[
            "error",
            "event.outcome",
            "dnstrail.sensor",
            "dnstrail.ways_in",
            "dnstrail.rules",
            "dnstrail.output",
            "dnstrail.traffic",
            "dnstrail.loss",
            "dnstrail.culprits",
        ],
        lists: &[("event.type", &[&["info"]])],
        ..REPORT
    },
    Action {
        name: "sensor-start",
        meaning: "the hooks that were taken, and those that were refused",
        always: &[&["message", "dnstrail.sensor"]],
        never: without!("error", "dnstrail.rules", "dnstrail.output", "dnstrail.traffic", "dnstrail.loss", "dnstrail.culprits", "dnstrail.alert"; "event.reason"),
        lists: &[("event.type", &[&["start"]])],
        ..REPORT
    },
    Action {
        name: "sensor-stop",
        meaning: "the totals at the end, and its reason",
        always: &[&["message", "dnstrail.traffic", "dnstrail.loss", "event.reason"]],
        never: without!(
            "error",
            "dnstrail.sensor",
            "dnstrail.ways_in",
            "dnstrail.rules",
            "dnstrail.output",
            "dnstrail.culprits",
            "dnstrail.alert"
        ),
        lists: &[("event.type", &[&["end"]])],
        ..REPORT
    },
    Action {
        name: "sensor-status",
        meaning: "the sensor is alive, every `--heartbeat` seconds: totals, lists, outputs, memory",
        kinds: &["metric"],
        always: &[&[
            "message",
            "dnstrail.status",
            "dnstrail.rules",
            "dnstrail.traffic",
            "dnstrail.loss",
            "dnstrail.memory",
        ]],
        never: &[
            NO_TIMES[0],
            NO_TIMES[1],
            NO_TIMES[2],
            NO_TIMES[3],
            NO_TIMES[4],
            NO_TIMES[5],
            "event.reason",
            "error",
            "dnstrail.sensor",
            "dnstrail.output",
            "dnstrail.alert",
        ],
        lists: &[("event.type", &[&["info"]])],
        ..REPORT
    },
    Action {
        name: "sensor-loss",
        meaning: "what was lost since the last such line, by place",
        kinds: &["metric"],
        always: &[&["message", "dnstrail.loss"]],
        never: without!("error", "dnstrail.sensor", "dnstrail.ways_in", "dnstrail.rules", "dnstrail.output", "dnstrail.traffic", "dnstrail.alert"; "event.reason"),
        lists: &[("event.type", &[&["error"]])],
        ..REPORT
    },
    Action {
        name: "rules-loaded",
        meaning: "each list with its version, entries and skipped lines",
        always: &[&["message", "dnstrail.rules", "event.category", "event.outcome", "event.duration"]],
        never: &[
            "error",
            "event.start",
            "event.end",
            "event.severity",
            "event.reason",
            "dnstrail.sensor",
            "dnstrail.ways_in",
            "dnstrail.output",
            "dnstrail.traffic",
            "dnstrail.loss",
            "dnstrail.culprits",
            "dnstrail.alert",
        ],
        lists: &[("event.type", &[&["change"]]), ("event.category", &[&["configuration"]])],
        ..REPORT
    },
    Action {
        name: "output-failing",
        meaning: "an output fails",
        always: &[&["message", "dnstrail.output"]],
        never: without!("dnstrail.sensor", "dnstrail.ways_in", "dnstrail.rules", "dnstrail.traffic", "dnstrail.loss", "dnstrail.culprits", "dnstrail.alert"; "event.reason"),
        lists: &[("event.type", &[&["error"]])],
        ..REPORT
    },
    Action {
        name: "output-back",
        meaning: "an output works again",
        always: &[&["message", "dnstrail.output"]],
        never: without!("dnstrail.sensor", "dnstrail.ways_in", "dnstrail.rules", "dnstrail.traffic", "dnstrail.loss", "dnstrail.culprits", "dnstrail.alert"; "event.reason"),
        lists: &[("event.type", &[&["info"]])],
        ..REPORT
    },
    Action {
        name: "sensor-blind",
        meaning: "the kernel side lost sight of what `error.message` says: a hook lost its program, or a datagram of the sensor's own did not come back",
        always: &[&["message", "error.message"]],
        never: without!("dnstrail.sensor", "dnstrail.ways_in", "dnstrail.rules", "dnstrail.traffic", "dnstrail.loss", "dnstrail.culprits", "dnstrail.alert", "dnstrail.output"; "event.reason"),
        lists: &[("event.type", &[&["error"]])],
        ..REPORT
    },
    Action {
        name: "sensor-sees",
        meaning: "the kernel side sees everything again",
        always: &[&["message"]],
        never: without!("dnstrail.sensor", "dnstrail.ways_in", "dnstrail.rules", "dnstrail.traffic", "dnstrail.loss", "dnstrail.culprits", "dnstrail.alert", "dnstrail.output"; "event.reason"),
        lists: &[("event.type", &[&["info"]])],
        ..REPORT
    },
    Action {
        name: "document-cut",
        meaning: "a document of which nothing fitted; only its number is left",
        kinds: &["event"],
        tables: &[],
        always: &[],
        never: without!("dnstrail"; "event.reason"),
        lists: &[("event.type", &[&["error"]])],
        ..REPORT
    },
];
