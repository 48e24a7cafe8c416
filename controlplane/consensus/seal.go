package consensus

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// An entry of the log ends with the CRC-32C of what comes before: the write-ahead log checks its last commit only
// when it is opened, so that a byte that changed on the disk would otherwise be believed wherever it still decodes.

var errChecksum = errors.New("its checksum does not match: the disk did not keep what was written")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// seal appends the checksum of data.
func seal(data []byte) []byte {
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli()))
}

// unseal returns the data of a sealed entry, or an error when it is not as it was sealed.
func unseal(entry []byte) ([]byte, error) {
	n := len(entry) - 4
	if n < 0 || crc32.Checksum(entry[:n], castagnoli()) != binary.LittleEndian.Uint32(entry[n:]) {
		return nil, errChecksum
	}
	return entry[:n], nil
}
