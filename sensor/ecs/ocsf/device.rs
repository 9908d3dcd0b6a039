//! `device` of an OCSF event: this host and the sensor on it, the same in every line.

use serde::Serialize;

use super::PRODUCT;
use crate::ecs::host::{Agent, optional, short};
use crate::host::Host;

/// The same in every line.
#[derive(Debug, Serialize)]
pub(in crate::ecs) struct Tail<'a> {
    device: Device<'a>,
}

#[derive(Debug, Serialize)]
struct Device<'a> {
    hostname: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    r#type: &'static str,
    type_id: u8,
    os: System<'a>,
    agent_list: [Sensor<'a>; 1],
}

#[derive(Debug, Serialize)]
struct System<'a> {
    name: &'a str,
    r#type: &'static str,
    type_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_release: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Sensor<'a> {
    uid: &'a str,
    name: &'static str,
    version: &'static str,
    r#type: &'static str,
    type_id: u8,
}

impl<'a> Tail<'a> {
    pub(in crate::ecs) fn new(host: &'a Host, agent: &'a Agent) -> Self {
        let os = &host.os;
        Self {
            device: Device {
                hostname: short(&host.hostname),
                name: short(&host.hostname),
                uid: optional(host.id.as_deref()),
                r#type: "Unknown",
                type_id: 0,
                os: System {
                    name: optional(os.full.as_deref()).or(optional(os.name.as_deref())).unwrap_or("Linux"),
                    r#type: "Linux",
                    type_id: 200,
                    version: optional(os.version.as_deref()),
                    kernel_release: optional(os.kernel.as_deref()),
                },
                agent_list: [Sensor {
                    uid: &agent.id,
                    name: PRODUCT,
                    version: agent.version,
                    r#type: "Network sensor",
                    type_id: 99,
                }],
            },
        }
    }
}
