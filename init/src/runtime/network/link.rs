//! Requests to rtnetlink(7), one at a time, each answered before the next.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::plan::Operation;

/// A socket in the network namespace that was current when it was opened.
pub struct Link {
    socket: Socket,
    sequence: u32,
}

impl Link {
    /// Opens a socket in the current network namespace.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Does what `operation` says; links are moved to the namespace of process `pid`.
    pub fn carry_out(&mut self, operation: &Operation, pid: i32) -> io::Result<()> {
        match operation {
            Operation::Create { name, kind, peer, .. } => {
                let message = RouteNetlinkMessage::NewLink(new_link(name, kind, peer));
                self.request(message, NLM_F_CREATE | NLM_F_EXCL)
            }
            Operation::Move { name } => {
                let mut link = LinkMessage::default();
                let pid = u32::try_from(pid).map_err(io::Error::other)?;
                link.attributes = vec![LinkAttribute::IfName(name.clone()), LinkAttribute::NetNsPid(pid)];
                self.request(RouteNetlinkMessage::SetLink(link), 0)
            }
        }
    }

    /// Brings the link `name` up.
    pub fn up(&mut self, name: &str) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes = vec![LinkAttribute::IfName(name.to_owned())];
        self.request(RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Deletes the link `name`; both ends when it is a veth.
    pub fn delete(&mut self, name: &str) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = vec![LinkAttribute::IfName(name.to_owned())];
        self.request(RouteNetlinkMessage::DelLink(link), 0)
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut packet = NetlinkMessage::from(message);
        packet.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            let (answer, _) = self.socket.recv_from_full()?;
            let answer =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            return match answer.payload {
                NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
                NetlinkPayload::Error(_) => Ok(()),
                other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
            };
        }
    }
}

fn new_link(name: &str, kind: &str, peer: &str) -> LinkMessage {
    let mut info = vec![LinkInfo::Kind(match kind {
        "veth" => InfoKind::Veth,
        "wireguard" => InfoKind::Wireguard,
        other => InfoKind::Other(other.to_owned()),
    })];
    if !peer.is_empty() {
        let mut other_end = LinkMessage::default();
        other_end.attributes = vec![LinkAttribute::IfName(peer.to_owned())];
        info.push(LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other_end))));
    }
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::LinkInfo(info)];
    link
}
