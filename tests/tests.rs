
mod live;
