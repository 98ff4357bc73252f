BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE galleries (
	name VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	root BLOB NOT NULL, 
	output BLOB NOT NULL, 
	filesystem VARCHAR NOT NULL, 
	identity VARCHAR, 
	watching VARCHAR NOT NULL, 
	online BOOLEAN NOT NULL, 
	reason VARCHAR, 
	walked_at DOUBLE, 
	walk_seconds DOUBLE, 
	photos INTEGER, 
	updated_at DOUBLE NOT NULL, 
	CONSTRAINT pk_galleries PRIMARY KEY (name)
);
INSERT INTO "galleries" VALUES('/srv/Photos','box',X'2F7372762F50686F746F73',X'2F7372762F50686F746F732D6D656E646564','ext4','ext4 /dev/vda / c31e51f8bb25310 3024002','events',1,NULL,1.79610398082001352314e+09,6.28959400273743085563e-03,3,1.79610398082001352314e+09);
CREATE TABLE history (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	claim INTEGER NOT NULL, 
	event VARCHAR NOT NULL, 
	CONSTRAINT pk_history PRIMARY KEY (id)
);
INSERT INTO "history" VALUES(1,1,1.79610398103501939766e+09,1,'claimed by 180cd86d, process 6501');
INSERT INTO "history" VALUES(2,1,1.7961039814519956112e+09,1,'clean');
INSERT INTO "history" VALUES(3,2,1.79610398146301960945e+09,1,'claimed by 180cd86d, process 6501');
INSERT INTO "history" VALUES(4,2,1.79610398165899515154e+09,1,'classified as super-resolution');
INSERT INTO "history" VALUES(5,2,1.79610398168100261684e+09,2,'claimed by 180cd86d, process 6501');
INSERT INTO "history" VALUES(6,2,1.79610398431900882727e+09,2,'about to publish 481d8b28ff5d');
INSERT INTO "history" VALUES(7,2,1.79610398432500362395e+09,2,'restored');
INSERT INTO "history" VALUES(8,3,1.79610398432898664476e+09,1,'claimed by 180cd86d, process 6501');
INSERT INTO "history" VALUES(9,3,1796103984.33301,1,'failed: /srv/Photos/broken.jpg is no photo that can be decoded: it breaks off before its end');
CREATE TABLE jobs (
	id INTEGER NOT NULL, 
	gallery VARCHAR NOT NULL, 
	folder BLOB NOT NULL, 
	name BLOB NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	queue VARCHAR NOT NULL, 
	category VARCHAR(32), 
	decision VARCHAR(32), 
	reason VARCHAR, 
	scores JSON, 
	receipt JSON, 
	content_hash VARCHAR, 
	pixels INTEGER, 
	output BLOB, 
	sha256 VARCHAR, 
	rank INTEGER NOT NULL, 
	due_at DOUBLE NOT NULL, 
	deadline_seconds DOUBLE, 
	attempts INTEGER NOT NULL, 
	claims INTEGER NOT NULL, 
	error_kind VARCHAR(32), 
	error VARCHAR, 
	worker VARCHAR, 
	child INTEGER, 
	created_at DOUBLE NOT NULL, 
	claimed_at DOUBLE, 
	updated_at DOUBLE NOT NULL, 
	finished_at DOUBLE, 
	seconds DOUBLE NOT NULL, 
	gone_at DOUBLE, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT uq_jobs UNIQUE (gallery, folder, name, fingerprint)
);
INSERT INTO "jobs" VALUES(1,'/srv/Photos',X'32303234',X'636C65616E2E6A7067','64582-1796103976792606842-3024019','done','classify','clean','clean',NULL,'{"scores": {"super-resolution": 0.0074, "reflection": 0.008, "motion-blur": 0.0017, "clean": 0.9829}, "severities": {"noise": 0.0147, "compression": 0.0053, "softness": 0.0389, "motion": 0.0114, "reflection": 0.0005}, "confident": true, "classifier": "lite 7"}',NULL,'fa89fc977cdcb3ef8f52e9918cbe32dac135d262261ac8655fc6bc711ebf2bc0',160000,NULL,NULL,2,1.79610398075101375574e+09,300.0,0,1,NULL,NULL,NULL,NULL,1.79610398075101375574e+09,1.79610398103401374811e+09,1.79610398145098972325e+09,1.79610398145098972325e+09,4.1697597503662109375e-01,NULL);
INSERT INTO "jobs" VALUES(2,'/srv/Photos',X'32303234',X'6E6F6973652E6A7067','104406-1796103976789492642-3024021','done','super-resolution','super-resolution','restored',NULL,'{"scores": {"super-resolution": 0.9835, "reflection": 0.0035, "motion-blur": 0.002, "clean": 0.011}, "severities": {"noise": 0.9835, "compression": 0.0736, "softness": 0.1138, "motion": 0.0525, "reflection": 0.0004}, "confident": true, "classifier": "lite 7"}','{"steps": [{"step": "restore the whole image", "seconds": 1.093}, {"step": "find text", "text_share": 0.0, "seconds": 1.087}], "guard": {"mean_shift": 0.0003, "block_shift": 0.1483, "low_shift": 0.023, "noise_before": 0.9835, "noise_after": 0.0295, "compression_before": 0.0736, "compression_after": 0.01, "softness_before": 0.1138, "softness_after": 0.0245, "motion_before": 0.0525, "motion_after": 0.0043, "reflection_before": 0.0004, "reflection_after": 0.0017}, "generative": false}','094c68173e60cb75e625770af6bd1d4f05f0c2113c0e00b38c0699dba4c6e0db',160000,X'323032342F6E6F6973652E6A7067','481d8b28ff5d651ad1fe87112c6ef0615c43c8a723e698fccab9a959e33b81b4',2,1.79610398165798926346e+09,309.6,0,2,NULL,NULL,NULL,NULL,1.79610398075101375574e+09,1.79610398168100261684e+09,1.79610398432500362395e+09,1.79610398432500362395e+09,2.83897066116333,NULL);
INSERT INTO "jobs" VALUES(3,'/srv/Photos',X'2E',X'62726F6B656E2E6A7067','20000-1796096776874262817-3024024','failed','classify',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,1.79610398076199746135e+09,300.0,0,1,'unreadable','/srv/Photos/broken.jpg is no photo that can be decoded: it breaks off before its end',NULL,NULL,1.79610398076199746135e+09,1.79610398432898664476e+09,1796103984.33301,1796103984.33301,4.0233135223388671875e-03,NULL);
CREATE TABLE outputs (
	gallery VARCHAR NOT NULL, 
	"key" BLOB NOT NULL, 
	folder BLOB NOT NULL, 
	name BLOB NOT NULL, 
	CONSTRAINT pk_outputs PRIMARY KEY (gallery, "key")
);
INSERT INTO "outputs" VALUES('/srv/Photos',X'323032342F6E6F6973652E6A7067',X'32303234',X'6E6F6973652E6A7067');
CREATE TABLE pauses (
	scope VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	until DOUBLE, 
	since DOUBLE NOT NULL, 
	CONSTRAINT pk_pauses PRIMARY KEY (scope, name)
);
CREATE TABLE workers (
	id VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	process INTEGER NOT NULL, 
	queues VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	started_at DOUBLE NOT NULL, 
	beat_at DOUBLE NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE INDEX ix_history_job_id ON history (job_id);
CREATE INDEX ix_jobs_content ON jobs (content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX ix_jobs_counted ON jobs (status, gallery, decision, error_kind);
CREATE INDEX ix_jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX ix_jobs_urgent ON jobs (status, queue, rank, id);
CREATE INDEX ix_jobs_worker ON jobs (worker) WHERE worker IS NOT NULL;
COMMIT;
