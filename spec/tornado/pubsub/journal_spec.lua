-- What is kept for workers that are behind.
local Journal = require "tornado.pubsub.journal"

local function filled(limit, n, others)
    local journal = Journal(limit, others or { 2, 3 })
    for i = 1, n do journal:add(("%04d"):format(i)) end
    return journal
end

describe("a journal", function()
    it("gives what is behind a number", function()
        local journal = filled(1000, 5)
        local bytes, number = journal:read(3)
        assert.equal("00040005", bytes)
        assert.equal(5, number)
        assert.is_nil(journal:read(5))
        assert.is_true(journal:reaches(0))
        assert.is_true(journal:reaches(5))
        assert.is_false(journal:reaches(6))
        assert.is_false(journal:reaches(-1))
    end)

    it("forgets what all others have", function()
        local journal = filled(1000, 5)
        journal:has(2, 4)
        assert.is_true(journal:reaches(0))
        journal:has(3, 2)
        assert.is_false(journal:reaches(1))
        assert.equal("0003", journal:read(2):sub(1, 4))
        journal:has(3, 1)
        journal:has(3, -1)
        assert.is_true(journal:reaches(2))
        journal:has(3, 5)
        assert.equal(4, journal.bytes)
        journal:has(2, 5)
        assert.equal(0, journal.bytes)
        assert.is_nil(journal:read(0))
        assert.is_true(journal:reaches(5))
    end)

    it("keeps no more bytes than it may", function()
        local journal = filled(20, 100)
        assert.equal(20, journal.bytes)
        assert.is_false(journal:reaches(94))
        assert.is_true(journal:reaches(95))
        assert.equal("0096", journal:read(7):sub(1, 4))
        journal:has(2, 50)
        journal:has(3, 98)
        assert.equal(20, journal.bytes)
        journal:has(2, 97)
        assert.equal(12, journal.bytes)
    end)

    it("gives many in pieces", function()
        local journal = Journal(1e7, { 2 })
        for _ = 1, 10 do journal:add(("x"):rep(100000)) end
        local total, number, pieces = 0, 0, 0
        while number < 10 do
            local bytes
            bytes, number = journal:read(number)
            total, pieces = total + #bytes, pieces + 1
        end
        assert.equal(1000000, total)
        assert.equal(4, pieces)
    end)

    it("goes on with what another one had", function()
        local journal = filled(1000, 5)
        journal:has(2, 3)
        local heir = Journal(1000, { 2, 3 })
        heir:go_on(require("string.buffer").decode(require("string.buffer").encode(
            journal:state())))
        heir:add "0006"
        assert.equal("00040005" .. "0006", (heir:read(3)))
        heir:has(3, 6)
        heir:has(2, 6)
        assert.equal(0, heir.bytes)
    end)
end)
