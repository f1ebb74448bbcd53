-- Passwords as they are kept: rounds$salt$hash, with HMAC-SHA256 of the password iterated.
--
-- ROUNDS costs about 2 ms. That is few for a list of hashes that was stolen, but nobody else is
-- served meanwhile: a site with much to lose hashes outside of the loop (PBKDF2, scrypt, Argon2).
-- The number is kept with each hash, so it can grow.
local core = require "tornado.core"

local ROUNDS = 5000

local passwords = {}

-- The password is the key, cut to one digest first, so that a long one costs no more. The salt
-- stands in each round: two users with one password share none of them.
local function hash(password, salt, rounds)
    local key = core.hmac("sha256", salt, password)
    local out = salt
    for _ = 1, rounds do out = core.hmac("sha256", key, out .. salt) end
    return core.hex(out)
end

--- Returns what is to be kept of a password.
function passwords.make(password)
    local salt = core.random(16)
    return ("%d$%s$%s"):format(ROUNDS, core.hex(salt), hash(password, salt, ROUNDS))
end

-- What a user who does not exist has: finding out takes as long as for one who does.
local NOBODY = ("%d$%s$%s"):format(ROUNDS, core.hex(core.random(16)), ("0"):rep(64))

--- Returns whether the password is the one of which `kept` (nil: nothing) is what was kept.
function passwords.check(password, kept)
    local rounds, salt, expected = (kept or NOBODY):match("^(%d+)%$(%x+)%$(%x+)$")
    if not rounds then return false end
    local same = core.same(hash(password, core.unhex(salt), tonumber(rounds)), expected)
    return same and kept ~= nil
end

return passwords
