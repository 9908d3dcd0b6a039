//! `device`: this host and the sensor on it, the same in every line.

use super::PRODUCT;
use crate::host::Host;
use crate::json::Json;
use crate::schema::agent::{Agent, short};

pub fn tail(json: &mut Json<'_>, host: &Host, agent: &Agent) {
    json.object("device", |json| {
        json.text("hostname", short(host.hostname.as_str()));
        json.text("name", short(host.hostname.as_str()));
        json.text("uid", short(host.id.as_deref()));
        json.literal("type", "Unknown");
        json.number("type_id", 0_u8);
        json.object("os", |json| {
            let os = &host.os;
            json.text("name", short(os.full.as_deref().or(os.name.as_deref()).unwrap_or("Linux")));
            json.literal("type", "Linux");
            json.number("type_id", 200_u8);
            json.text("version", short(os.version.as_deref()));
            json.text("kernel_release", short(os.kernel.as_deref()));
        });
        json.list("agent_list", |list| {
            list.object(|json| {
                json.text("uid", agent.id.as_str());
                json.literal("name", PRODUCT);
                json.text("version", agent.version);
                json.literal("type", "Network sensor");
                json.number("type_id", 99_u8);
            });
        });
    });
}
