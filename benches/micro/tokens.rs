//! Keys and a token of each: user, times, id, four patterns of rooms, a little `info`. The halves
//! of the keys that made them are nowhere.
//!
//! Constants, so that nothing is signed while something is measured.

/// The time at which the tokens are valid.
pub const NOW_S: u64 = 1_700_000_100;

pub const SECRET: &[u8] = b"a secret of 32 bytes for testing";

pub const RSA: &[u8] = b"-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArfadHaPosk3ofphA+TKs
QD7pUB60U3AA+iPxm4cqYMrqC5yP9/pYjg7hyh1h3umGS4WzxIMzTei7xNNYApyK
UkFswGEUMOpbWmx7Ltfj0g98F02vT7+Uzvi3hr+MrI4y5ep7cwJ4YvSiCcIrGJUS
/TagII6LMRP/+fGZxfMn0PN4ioE+jMp9H7V5uMGfgMP8fMDhco73a4Cw+d4lvnVx
QevZC253bemDrn1v2k93H2/SbjUjtMRIQOXxHg7Y5Dt0BFA1aO/c9ddGNd6SJLAj
eqmrI5QLx8AIwwKgP/pDSFOK3t+plCWbTe+ys1i3smk0JZOJAzcWkhZH5cOOXY1W
NwIDAQAB
-----END PUBLIC KEY-----
";

pub const EC: &[u8] = b"-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZRly5KxXN00J37rnxbkrq+Azj45B
750D6G+CDA4mzoiQ3wUgdurf9G2TzBFba5X9LFMRApYnOuuGUSlLkEBMqg==
-----END PUBLIC KEY-----
";

pub const ED: &[u8] = b"-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEArRyd8uiu0idSKhe51E42DMwPvBtsMPN+v1w8VYzDO1s=
-----END PUBLIC KEY-----
";

pub const HS256_TOKEN: &str = "\
    eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjIwMjQtMDEifQ.eyJzdWIiOiJ1c2VyLThmMTRlNDVmIiw\
    iaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDAsImp0aSI6IjAxSEYzWjlRSzVUOFYyTTRYVzdZQjZDMURFI\
    iwicm9vbXMiOnsibG9iYnkiOlsiam9pbiJdLCJ1c2VyOjhmMTRlNDVmOioiOlsiam9pbiIsInB1Ymxpc2giLCJwcmV\
    zZW5jZSJdLCJ0ZWFtOjc6KiI6WyJqb2luIiwicHVibGlzaCIsInByZXNlbmNlIl0sIm5ld3M6KiI6WyJqb2luIl19L\
    CJpbmZvIjp7Im5hbWUiOiJBbGkiLCJjb2xvciI6IiMwYTcifX0.yFfqmx0mUKe-aB3K4QDSOIclkSJygzbTJvYfqby\
    8s2Y";

pub const RS256_TOKEN: &str = "\
    eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjIwMjQtMDEifQ.eyJzdWIiOiJ1c2VyLThmMTRlNDVmIiw\
    iaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDAsImp0aSI6IjAxSEYzWjlRSzVUOFYyTTRYVzdZQjZDMURFI\
    iwicm9vbXMiOnsibG9iYnkiOlsiam9pbiJdLCJ1c2VyOjhmMTRlNDVmOioiOlsiam9pbiIsInB1Ymxpc2giLCJwcmV\
    zZW5jZSJdLCJ0ZWFtOjc6KiI6WyJqb2luIiwicHVibGlzaCIsInByZXNlbmNlIl0sIm5ld3M6KiI6WyJqb2luIl19L\
    CJpbmZvIjp7Im5hbWUiOiJBbGkiLCJjb2xvciI6IiMwYTcifX0.pMSpDK8cfNoe7Y7hzA8RCyl-Sdty_UoDzyJM5wi\
    FIC5lmoA7oBKX2TWKrX0oLCKtid9r-J1UXpbxuPLDhywVlIv6DKdd80usl7sLmNPpGGbxScDlztsboz0W5BAc590WO\
    jYIv__exwfhJpXhrm3-gJM2iB43E4xAYBavvy3qQBf52xMhXiyJ53WrxROhLFXFYXqBz4O2jcXj8uGbrwYNNXrcBBs\
    cEh_QoaPOOA0jkTQrLhVr_eJu5JqTb8k8FeSSQZ8C8Pq5oJgq0yNZs5HYQkAKyEbYxLd9_0UZCai55zBCPO_cOTalD\
    yPWT-HM6-8qBmGpnvv_xsD-NMPCTp5OSg";

pub const ES256_TOKEN: &str = "\
    eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjIwMjQtMDEifQ.eyJzdWIiOiJ1c2VyLThmMTRlNDVmIiw\
    iaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDAsImp0aSI6IjAxSEYzWjlRSzVUOFYyTTRYVzdZQjZDMURFI\
    iwicm9vbXMiOnsibG9iYnkiOlsiam9pbiJdLCJ1c2VyOjhmMTRlNDVmOioiOlsiam9pbiIsInB1Ymxpc2giLCJwcmV\
    zZW5jZSJdLCJ0ZWFtOjc6KiI6WyJqb2luIiwicHVibGlzaCIsInByZXNlbmNlIl0sIm5ld3M6KiI6WyJqb2luIl19L\
    CJpbmZvIjp7Im5hbWUiOiJBbGkiLCJjb2xvciI6IiMwYTcifX0.Qy-cBi8lOjtW-Om2Kbrn6G1H_UyD87JWBvdqEHe\
    EwsHgDY_6kpcaoCjlG-mOHXtGzAgJ5B-wmM-Hcctj8EY7rg";

pub const EDDSA_TOKEN: &str = "\
    eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6IjIwMjQtMDEifQ.eyJzdWIiOiJ1c2VyLThmMTRlNDVmIiw\
    iaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDAsImp0aSI6IjAxSEYzWjlRSzVUOFYyTTRYVzdZQjZDMURFI\
    iwicm9vbXMiOnsibG9iYnkiOlsiam9pbiJdLCJ1c2VyOjhmMTRlNDVmOioiOlsiam9pbiIsInB1Ymxpc2giLCJwcmV\
    zZW5jZSJdLCJ0ZWFtOjc6KiI6WyJqb2luIiwicHVibGlzaCIsInByZXNlbmNlIl0sIm5ld3M6KiI6WyJqb2luIl19L\
    CJpbmZvIjp7Im5hbWUiOiJBbGkiLCJjb2xvciI6IiMwYTcifX0.Q4E2ms1EbsslprH9sW3U3Rspub1z5KrVx7D6JMo\
    Plu89_Wro3d8NvG0XjR3Pa_wvTTbh6iMeUyPoGMjkyiskDA";
