//! A DNS message as the model Network Resolution has it.

use super::answers::Answers;
use super::sentence::message;
use super::{Document, Occurrence, ecs};
use crate::dns::{Opcode, Rcode, Type};
use crate::json::{Address, Json, key};
use crate::schema::ecs::{own, transport_name};
use crate::schema::{Event, Line, cim};

pub(super) fn write(document: &Document<'_>, line: &mut Line<'_>) {
    let Document { actor, matches, .. } = *document;
    let (limits, event) = (line.limits, document.event(line.time));
    cim::begin(line, &event);
    cim::signature(&mut line.json, matches, limits);
    cim::severity(&mut line.json, event.severity);
    exchange(line, document, &event);
    cim::actor(line, actor);
    let json = &mut line.json;
    message(json, document, limits);
    cim::indication(json, matches, limits);
    own(json, |json| ecs::own(json, document, limits));
}

fn exchange(line: &mut Line<'_>, document: &Document<'_>, event: &Event<'_>) {
    let Document { message, source, destination, .. } = *document;
    let (client, server) = if document.source_is_client { (source, destination) } else { (destination, source) };
    let question = document.question();
    let answers = Answers::new(message, line.limits.answers);
    let (limits, json) = (line.limits, &mut line.json);
    if document.has_header() {
        json.literal(key!("message_type"), if message.response { "Response" } else { "Query" });
        json.cut(key!("query"), question.map(|question| question.name), limits.text, "dns.question.name");
        json.number(key!("query_count"), u8::from(question.is_some()));
        operation(json, Opcode(message.opcode.into()));
        if let Some(question) = question {
            record_type(json, Type(question.qtype));
        }
        json.number(key!("transaction_id"), message.id);
    }
    json.address(key!("src"), &Address::new(client.ip()));
    json.number(key!("src_port"), client.port());
    json.address(key!("dest"), &Address::new(server.ip()));
    json.number(key!("dest_port"), server.port());
    let [mut client, mut server] = document.translated();
    if !document.source_is_client {
        (client, server) = (server, client);
    }
    if let Some(translated) = client {
        json.address(key!("src_translated_ip"), &Address::new(translated.ip()));
        json.number(key!("src_translated_port"), translated.port());
    }
    if let Some(translated) = server {
        json.address(key!("dest_translated_ip"), &Address::new(translated.ip()));
        json.number(key!("dest_translated_port"), translated.port());
    }
    json.literal(key!("transport"), transport_name(document.transport));
    if !document.has_header() {
        return;
    }
    if message.response {
        reply_code(json, Rcode(message.rcode));
        json.number(key!("reply_code_id"), message.rcode);
    }
    if let Some(duration) = event.duration {
        // From the query to its answer. A timeout has the time of waiting alone.
        if matches!(document.occurrence, Occurrence::Answer { .. }) {
            cim::seconds(json, key!("response_time"), duration);
        }
        cim::seconds(json, key!("duration"), duration);
    }
    let [_, _, authorities, additionals] = message.counts;
    json.count(key!("answer_count"), answers.records().count());
    json.number(key!("authority_answer_count"), authorities);
    json.number(key!("additional_answer_count"), additionals);
    if let Some(first) = answers.records().next() {
        json.number(key!("ttl"), first.ttl);
    }
    if answers.are_cut() {
        json.cuts().add("dns.answers");
    }
    json.list(key!("answer"), |list| answers.shown().for_each(|(_, data)| list.text(data)));
}

/// `query_type`
fn operation(json: &mut Json<'_>, opcode: Opcode) {
    let name = match opcode.0 {
        0 => "Query",
        1 => "IQuery",
        2 => "Status",
        4 => "Notify",
        5 => "Update",
        _ => return mnemonic!(json, "query_type", opcode),
    };
    json.literal(key!("query_type"), name);
}

/// `record_type`: the mnemonics of IANA, which writes 255 as a star.
fn record_type(json: &mut Json<'_>, qtype: Type) {
    if qtype.0 == 255 { json.literal(key!("record_type"), "*") } else { mnemonic!(json, "record_type", qtype) }
}

/// `reply_code`, in the mixed spelling that CIM expects.
fn reply_code(json: &mut Json<'_>, code: Rcode) {
    let name = match code.0 {
        0 => "No Error",
        1 => "Format Error",
        2 => "Server Failure",
        3 => "Non-Existent Domain",
        4 => "NotImp",
        5 => "Refused",
        6 => "YXDomain",
        7 => "YXRRSet",
        8 => "NXRRSet",
        9 => "NotAuth",
        10 => "NotZone",
        _ => return mnemonic!(json, "reply_code", code),
    };
    json.literal(key!("reply_code"), name);
}
