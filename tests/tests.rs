mod dns;
mod layout;
