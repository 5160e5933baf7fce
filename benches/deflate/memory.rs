//! The memory that a shard keeps in order to compress, with both windows, and to inflate.
//!
//! In: the plan. Out: bytes for each shard: what the resident memory of a server with many shards
//! grows by when members who compress say what others have said before. Messages are large and
//! dense, so that windows and tables come into use. Generator thread.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use flate2::{Compress, Compression, FlushCompress};

use crate::members::{Kind, connect};
use crate::payload;
use crate::plan::Plan;
use crate::process::Server;

/// Enough of each kind for every shard to have some.
const MEMBERS_OF_SHARD: usize = 16;
const ROUNDS: u64 = 3;

pub fn of_a_shard(plan: &Plan) -> Result<f64, Box<dyn Error>> {
    let shards = if plan.smoke { 2 } else { 8 };
    let server = Server::start(plan.level, shards)?;
    let connect_all = |kinds: &[Kind]| -> Result<Vec<_>, Box<dyn Error>> {
        let kinds = kinds.iter().cycle().take(shards * MEMBERS_OF_SHARD);
        kinds
            .map(|&kind| Ok((connect(server.address, kind)?, kind)))
            .collect()
    };
    let mut plain = connect_all(&[Kind::Plain])?;
    let mut compressed = connect_all(&[Kind::Wide, Kind::Narrow])?;
    talk(&mut plain)?;
    let before = server.memory()?;
    talk(&mut compressed)?;
    Ok((server.memory()? as f64 - before as f64) / shards as f64)
}

fn talk(members: &mut [(TcpStream, Kind)]) -> Result<(), Box<dyn Error>> {
    for round in 0..ROUNDS {
        for (stream, kind) in &mut *members {
            let message: String = (0..50).map(|n| payload::json(round * 50 + n)).collect();
            converse(stream, *kind, message.as_bytes())?;
        }
    }
    Ok(())
}

/// Says something and waits until it is back.
fn converse(stream: &mut TcpStream, kind: Kind, message: &[u8]) -> Result<(), Box<dyn Error>> {
    let compressed = kind != Kind::Plain;
    let payload = match compressed {
        true => deflated(message)?,
        false => message.to_vec(),
    };
    let len = u16::try_from(payload.len())?.to_be_bytes();
    let first = if compressed { 0xc1 } else { 0x81 };
    // A mask of zeros leaves the payload as it is.
    let mut out = vec![first, 0x80 | 126, len[0], len[1], 0, 0, 0, 0];
    out.extend_from_slice(&payload);
    stream.write_all(&out)?;
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    if header[..2] != [first, 126] {
        return Err(format!("a {kind:?} member was answered with {header:?}").into());
    }
    let mut answer = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
    stream.read_exact(&mut answer)?;
    Ok(())
}

fn deflated(message: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = Vec::with_capacity(message.len() * 2);
    let mut compress = Compress::new(Compression::new(6), false);
    compress.compress_vec(message, &mut out, FlushCompress::Sync)?;
    out.truncate(out.len() - 4);
    Ok(out)
}
